"""`face-parts`: the shipped model. Nineteen classes, faces of any size on any picture.

Five runs. The data sets leave open which of several classes many of their pixels show, and a loss
over sets of classes is content with any of them, so that a long run learns what a data set lacks
rather than what a picture shows. So the runs after the first long one learn from answers to these
questions: to those of Helen* and FASSEG by the long run itself, to all of them by
`face-parts-answers`, which has learnt for a shorter time and finds faces where the long run has
come to neglect them. The last two also learn what three of the networks before them think of each
view, which are seldom wrong in the same places; the very last in poor light, where those see well.
"""

from __future__ import annotations

import dataclasses
from functools import partial

from training.recipes import face_parts_answers
from training.recipes.face_parts_answers import AT_256, LARGE, SMALL
from training.recipes.face_parts_data import (
    ANSWERED,
    EARLY,
    PAINTED,
    RARE,
    RARE_BUT_PAINTED,
)

FROM_SETS = dataclasses.replace(
    SMALL.with_input(256, 256),
    name="face-parts-from-sets",
    summary="face-parts before its last four runs: a long one from ImageNet's weights, on a GPU",
    settings=dataclasses.replace(
        SMALL.settings,
        epochs=101,
        batch=96,
        weight_decay=0.05,
        warm_up=0.05,
        loss=LARGE.settings.loss,
        evaluate_every=25,
    ),
    training=partial(
        AT_256,
        views=dataclasses.replace(EARLY, necklaces=0.12, earrings=0.1, dyed=0.1),
        later=PAINTED,
        later_from=0.3,
        rare=RARE_BUT_PAINTED,
    ),
)

PARTLY_ANSWERED = dataclasses.replace(
    FROM_SETS,
    name="face-parts-partly-answered",
    summary="face-parts before its last three runs: Helen*'s and FASSEG's open questions answered",
    settings=dataclasses.replace(
        FROM_SETS.settings,
        epochs=2,
        batch=16,
        learning_rate=6e-4,
        encoder_weights="none",
        evaluate_every=1,
        seed=1,  # the same seed would show the first run's views again
    ),
    training=partial(
        AT_256, views=PAINTED, later=None, rare=RARE_BUT_PAINTED, answered=("helen", "fasseg")
    ),
    first=FROM_SETS,
    answers=FROM_SETS,
)

ALL_ANSWERED = dataclasses.replace(
    PARTLY_ANSWERED,
    name="face-parts-all-answered",
    summary="face-parts before its last two runs: all open questions answered",
    settings=dataclasses.replace(PARTLY_ANSWERED.settings, epochs=5, start_share=0.4),
    training=partial(AT_256, views=PAINTED, later=None, rare=RARE_BUT_PAINTED, answered=ANSWERED),
    first=PARTLY_ANSWERED,
    answers=face_parts_answers.RECIPE,
)

TAUGHT = dataclasses.replace(
    ALL_ANSWERED,
    name="face-parts-taught",
    summary="face-parts before its last run: it learns what three networks think besides",
    settings=dataclasses.replace(
        ALL_ANSWERED.settings, epochs=3, learning_rate=5e-4, start_share=0.5, seed=2
    ),
    training=partial(
        AT_256,
        helen_share=3.0,
        views=PAINTED,
        later=None,
        rare=RARE_BUT_PAINTED,
        answered=ANSWERED,
    ),
    first=ALL_ANSWERED,
    teachers=(ALL_ANSWERED, PARTLY_ANSWERED, face_parts_answers.RECIPE),
)

RECIPE = dataclasses.replace(
    TAUGHT,
    name="face-parts",
    summary="the shipped model: 19 classes, 3.2 M parameters, at 256x256",
    settings=dataclasses.replace(TAUGHT.settings, epochs=2, low_light=0.3, seed=8),
    first=TAUGHT,
    teachers=(TAUGHT, ALL_ANSWERED, PARTLY_ANSWERED),
    rare=("earring", "necklace"),
    # dark hair on a dark ground is a hat too easily otherwise
    oversampled={"hat": 1 + RARE["hat"]},
)

RUNS = (RECIPE, TAUGHT, ALL_ANSWERED, PARTLY_ANSWERED, FROM_SETS)
"""Every run, the last first."""
