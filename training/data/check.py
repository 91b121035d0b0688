"""Check a download: what is present, missing, broken or duplicated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from rtseg.errors import SourceError
from training.data.base import Sample


class Pictures(Protocol):
    """A data set, or a plain list of pictures."""

    @property
    def names(self) -> tuple[str, ...]:
        """One name a picture, in order."""

    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Findings:
    """What is known of one part of a download.

    Attributes:
        count: pictures in its list.
        readable: how many of them could be read.
        missing: files that should be there and are not.
        unexpected: what the data set itself knows to be odd: stray files, known faults.
        broken: one line for each that could not, whether missing or damaged.
        duplicates: pairs of names whose pictures are the same, pixel for pixel.
        shared: pairs of names, one here and one in a split that was walked before.
        shares: percent of the pixels by class name; empty where there are no labels.
    """

    count: int
    readable: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    broken: tuple[str, ...]
    duplicates: tuple[tuple[str, str], ...]
    shared: tuple[tuple[str, str], ...]
    shares: Mapping[str, float]


def check(
    pictures: Pictures, *, split: str = "", earlier: dict[bytes, str] | None = None
) -> Findings:
    """Read every picture of a split once.

    Args:
        pictures: the split.
        split: what to call it in later splits' findings.
        earlier: digests of the pictures of the splits walked before; this one's are added. A
            picture of a split for learning that is also in one for measuring is a leak.
    """
    earlier = {} if earlier is None else earlier
    missing = _missing(pictures)
    broken: list[str] = []
    shared: list[tuple[str, str]] = []
    seen: dict[bytes, str] = {}
    duplicates: list[tuple[str, str]] = []
    counts = np.zeros(256, np.int64)
    for index, name in enumerate(pictures.names):
        try:
            item = pictures[index]
        except SourceError as error:
            broken.append(str(error))
            continue
        image = item.image if isinstance(item, Sample) else item
        if isinstance(item, Sample):
            counts += np.bincount(item.labels.ravel(), minlength=256)
        digest = hashlib.sha256(image.tobytes()).digest()
        if digest in seen:
            duplicates.append((seen[digest], name))
        elif digest in earlier:
            shared.append((earlier[digest], name))
        seen.setdefault(digest, name)
    for digest, name in seen.items():
        earlier.setdefault(digest, f"{split}/{name}" if split else name)
    names = pictures.label_set.names if hasattr(pictures, "label_set") else ()
    total = max(1, int(counts[: len(names)].sum()))
    return Findings(
        count=len(pictures.names),
        readable=len(pictures.names) - len(broken),
        missing=missing,
        unexpected=pictures.unexpected() if hasattr(pictures, "unexpected") else (),
        broken=tuple(broken),
        duplicates=tuple(duplicates),
        shared=tuple(shared),
        shares={n: round(100 * int(c) / total, 2) for n, c in zip(names, counts, strict=False)},
    )


def _missing(pictures: Pictures) -> tuple[str, ...]:
    files = getattr(pictures, "files", None)
    if files is None:
        return ()
    every = (path for index in range(len(pictures.names)) for path in files(index))
    return tuple(str(path) for path in every if not path.exists())
