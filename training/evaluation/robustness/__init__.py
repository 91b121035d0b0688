"""`python -m training robustness`: evaluate a face-part model under conditions not in Helen*.

Six tables: degraded pictures, poor light, faces of any size in a frame, no face, profiles, and what
is seen below chins. Everything uses fixed seeds, heads of the requested split, and backgrounds and
people that are not used in training.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtseg.errors import SettingError
from rtseg.labels import FACE_PARTS, HELEN, LabelSet
from training.data.backgrounds import Backgrounds
from training.data.base import Dataset
from training.data.face_targets import FaceTargets, from_celebamask
from training.data.fasseg import Fasseg
from training.data.helen import Helen
from training.data.listed import open_celebamask
from training.data.measured_helen import measured_helen
from training.evaluation.markdown import share, table
from training.evaluation.predictor import Labeller
from training.evaluation.robustness.chins import ChinScore, measure_chins
from training.evaluation.robustness.composites import HEIGHT as HEIGHT
from training.evaluation.robustness.composites import WIDTH as WIDTH
from training.evaluation.robustness.composites import FaceViewScore, measure_face_view
from training.evaluation.robustness.corruptions import CorruptedScore, measure_corruptions
from training.evaluation.robustness.no_face import COUNT, NoFaceScore, measure_no_face
from training.evaluation.robustness.poor_light import PoorLightScore, measure_poor_light
from training.evaluation.robustness.profiles import COUNTED, ProfileScore, measure_profiles

ASKED_BELOW = 0.08
"""Allowed loss under a corruption, and for heads below FAR of the frame's height."""
ASKED_NEAR_BELOW = 0.02
FAR = 0.2
ASKED_LABELLED = 0.005


@dataclass(frozen=True, kw_only=True)
class Robustness:
    """All measurements of one model on one split."""

    split: str
    corruptions: tuple[CorruptedScore, ...]
    corruptions_on_celebamask: tuple[CorruptedScore, ...]
    poor_light: tuple[PoorLightScore, ...]
    face_view: tuple[FaceViewScore, ...]
    no_face: tuple[NoFaceScore, ...]
    profiles: tuple[ProfileScore, ...]
    chins: ChinScore | None = None

    def plain(self) -> dict[str, Any]:
        """Convert to JSON values; NaN becomes null."""
        plain: dict[str, Any] = _without_nan(dataclasses.asdict(self))
        return plain

    def markdown(self) -> str:
        """Format the tables; values that miss their target are bold."""
        return "\n".join(
            (
                _corruption_table(self.corruptions, of="Helen*"),
                *(
                    [_corruption_table(self.corruptions_on_celebamask, of="CelebAMask-HQ")]
                    if self.corruptions_on_celebamask
                    else []
                ),
                *([_poor_light_table(self.poor_light)] if self.poor_light else []),
                _face_view_table(self.face_view),
                _no_face_table(self.no_face),
                _profile_table(self.profiles),
                *([_chin_table(self.chins)] if self.chins else []),
            )
        )


def measure(
    label: Labeller,
    label_set: LabelSet,
    data: Path,
    *,
    split: str = "val",
    crops: int = COUNT,
    say: Callable[[str], None] = lambda line: None,
) -> Robustness:
    """Measure all tables.

    Args:
        label: the network.
        label_set: the meaning of its ids: the classes of Helen* or of `face-parts`.
        data: the data folder.
        split: the split of Helen* and CelebAMask-HQ.
        crops: number of crops of each kind without a face.
        say: called with a description of the current measurement.

    Raises:
        SettingError: the network's classes are not supported.
        SourceError: data is missing.
    """
    photos_with_chins = Helen(root=data, split=split)
    helen: Dataset = photos_with_chins
    celebamask: Dataset | None = None
    if label_set.names == FACE_PARTS.names:
        helen = measured_helen(data, split)
        celebamask = FaceTargets(dataset=open_celebamask(data, split), convert=from_celebamask)
    elif label_set.names != HELEN.names:
        raise SettingError(
            "robustness is measured on the classes of Helen* or of face-parts; this model has "
            f"{label_set.name}'s"
        )
    held_out = Backgrounds(root=data, split="val")
    backgrounds = [held_out[i] for i in range(len(held_out))]
    photos = Fasseg(root=data, version="v3", split="val")
    say("corruptions")
    corruptions = tuple(measure_corruptions(label, helen))
    on_celebamask = tuple(measure_corruptions(label, celebamask)) if celebamask else ()
    say("poor light")
    poor_light = tuple(measure_poor_light(label, celebamask)) if celebamask else ()
    say("face view")
    face_view = tuple(measure_face_view(label, helen, backgrounds))
    say("no face")
    no_face = tuple(measure_no_face(label, backgrounds, label_set, count=crops))
    say("profiles")
    profiles = tuple(measure_profiles(label, label_set, photos))
    chins = None
    if label_set.neck:
        say("chins")
        chins = measure_chins(label, label_set, photos_with_chins)
    return Robustness(
        split=split,
        corruptions=corruptions,
        corruptions_on_celebamask=on_celebamask,
        poor_light=poor_light,
        face_view=face_view,
        no_face=no_face,
        profiles=profiles,
        chins=chins,
    )


def _corruption_table(scores: Sequence[CorruptedScore], *, of: str) -> str:
    rows = [
        [
            score.corruption,
            score.strength,
            str(score.seed),
            share(score.f1),
            _marked(f"{0.0 - score.below:+.4f}", missed=score.below > ASKED_BELOW),
        ]
        for score in scores
    ]
    title = (
        f"Overall F1, whole pictures of {of} at 256x256 (asked: at most {ASKED_BELOW} below "
        "clean):\n\n"
    )
    return title + table(["corruption", "strength", "seed", "overall F1", "against clean"], rows)


def _poor_light_table(scores: Sequence[PoorLightScore]) -> str:
    rows = [
        [score.light, score.strength, share(score.as_it_is), share(score.stretched)]
        for score in scores
    ]
    title = (
        "Mean F1 of all classes but background in poor light, whole pictures of CelebAMask-HQ at "
        "256x256: of the network alone, and of what rtseg shows it, which is stretched to the "
        "usual range:\n\n"
    )
    return title + table(["light", "strength", "alone", "stretched"], rows)


def _face_view_table(scores: Sequence[FaceViewScore]) -> str:
    rows = []
    for score in scores:
        allowed = ASKED_NEAR_BELOW if score.share >= FAR else ASKED_BELOW
        rows.append(
            [
                f"{100 * score.share:.0f}%" if score.share else "native",
                share(score.parts),
                _marked(f"{0.0 - score.below:+.4f}", missed=score.below > allowed),
                share(score.face),
                share(score.hair),
                "" if score.share == 0 else f"{score.found:.2f}",
            ]
        )
    title = (
        "Heads pasted into 1280x720 frames and cut out as rtseg does it (asked: overall F1 at most "
        f"{ASKED_NEAR_BELOW} below the native crop from {FAR:.0%} of the frame's height up, "
        f"{ASKED_BELOW} below that). `found`: half of the face labelled in one pass over the whole "
        "frame:\n\n"
    )
    headings = ["head's height", "overall F1", "against native", "face", "hair", "found"]
    return title + table(headings, rows)


def _no_face_table(scores: Sequence[NoFaceScore]) -> str:
    rows = [
        [
            score.kind,
            str(score.count),
            _marked(f"{100 * score.median:.2f}%", missed=score.median > 0),
            _marked(f"{100 * score.mean:.2f}%", missed=score.mean >= ASKED_LABELLED),
            f"{100 * score.largest:.1f}%",
        ]
        for score in scores
    ]
    title = (
        "Pixels labelled as part of a head where there is none (asked: mean under "
        f"{100 * ASKED_LABELLED}%, median 0; `all` leaves out the printed masks):\n\n"
    )
    return title + table(["crops of", "count", "median", "mean", "largest"], rows)


def _profile_table(scores: Sequence[ProfileScore]) -> str:
    rows = [
        [
            score.yaw,
            str(score.photos),
            *(share(score.f1[name], digits=3) for name in COUNTED),
            share(score.mean, digits=3),
        ]
        for score in scores
    ]
    title = "F1 in FASSEG's classes by yaw, photos of people kept from training:\n\n"
    return title + table(["yaw", "photos", *COUNTED, "mean"], rows)


def _chin_table(score: ChinScore) -> str:
    title = (
        f"Pixels right below the chins of {score.pictures} pictures of Helen*, whose labels know "
        "no neck (hardly any of them is background):\n\n"
    )
    row = [share(value, digits=3) for value in (score.neck, score.other, score.background)]
    return title + table(["neck", "hair, clothes and others", "background"], [row])


def _marked(text: str, *, missed: bool) -> str:
    return f"**{text}**" if missed else text


def _without_nan(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(item) for item in value]
    return None if value != value else value
