"""What the shipped model learns from and is measured on: views, classes, data sets, splits."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import MappingProxyType

import numpy as np

from rtseg.checkpoint import read_checkpoint
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
from training.data.helen import Helen
from training.data.listed import open_celebamask, open_figaro
from training.data.masked_faces import MaskedFaces
from training.data.measured_helen import measured_helen
from training.data.resolved_sets import resolved
from training.recipes.base import TrainingData
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

PAINTED = dataclasses.replace(
    LATE,
    as_is=0.5,
    composites=0.16,
    negatives=0.11,
    rolled=0.3,
    necklaces=0.18,
    earrings=0.1,
    dyed=0.1,
)
"""More pictures as they are, more animals and things without a face; with painted necklaces and
earrings, and clothes in other colours, most often that of the hair."""

RARE: Mapping[str, float] = MappingProxyType(
    {"hat": 2.0, "glasses": 1.5, "earring": 1.5, "necklace": 8.0}
)
"""How many more times a picture is drawn that shows enough of a rare class."""

RARE_BUT_PAINTED: Mapping[str, float] = MappingProxyType({**RARE, "necklace": 3.0})
"""The same where necklaces are painted on other pictures too: the few real ones need not be shown
so often that the network knows them by heart."""

RARE_PIXELS = 40

HELEN_SHARE = 2.5
"""How many times as often a Helen* picture is drawn in the later runs: its annotators drew brows
and lips differently from CelebAMask-HQ's, and it has a third of the pictures."""

ANSWERED = ("helen", "fasseg", "figaro", "masked-faces")
"""The data sets that leave open which of several classes a pixel shows."""

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
    views: SceneSettings = EARLY,
    later: SceneSettings | None = LATE,
    later_from: float = 0.5,
    rare: Mapping[str, float] = RARE,
    answered: Collection[str] = (),
) -> TrainingData:
    """Every train name of every data set, each in the classes that it tells apart.

    Args:
        data: the data folder.
        settings: of the run.
        size: side of the views in pixels.
        helen_share: how many times as often a picture of Helen* is drawn.
        views, later: the composition of views, and that from `later_from` of the run on, if it is
            another one.
        later_from: share of the run.
        rare: how many more times a picture with a rare class is drawn.
        answered: data sets (of `ANSWERED`) whose pixels get one of the classes that their set
            allows, by the network of the setting `answers_from`; without one, sets stay.
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
    masked = MaskedFaces(root=data, split="train")
    partly = {
        "fasseg": [from_fasseg(sample, HELEN_SETS) for sample in profiles],
        "figaro": [from_figaro(sample) for sample in samples_of(open_figaro(data, "train"))],
        "masked-faces": [from_masked(sample) for sample in samples_of(masked)],
    }
    if answered and settings.answers_from is not None:
        network = read_checkpoint(settings.answers_from)
        if "helen" in answered:
            helen = list(resolved(helen, network))
        partly |= {
            name: list(resolved(partly[name], network)) for name in partly if name in answered
        }
    partial_samples = [sample for part in partly.values() for sample in part]
    cut_out: list[np.ndarray | None] = [sample.labels != 0 for sample in profiles]
    cut_out += [None] * (len(partial_samples) - len(cut_out))
    backgrounds = Backgrounds(root=data, split="train")
    samples = [*celeba, *helen]
    made = FaceViews(
        samples,
        [backgrounds[index] for index in range(len(backgrounds))],
        label_set=FACE_PARTS,
        settings=_at(views, size),
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
    if later is not None:
        per_epoch = len(samples) // settings.batch * settings.batch
        made = made.settled(_at(later, size), at=round(later_from * settings.epochs) * per_epoch)
    return TrainingData(
        views=made,
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
