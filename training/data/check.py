"""Check a downloaded data set for missing, broken and duplicate pictures."""

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
        """The pictures' names in order."""

    def __getitem__(self, index: int) -> Any: ...


@dataclass(frozen=True, kw_only=True)
class Findings:
    """The results of checking one split.

    Attributes:
        count: number of pictures in its list.
        readable: number of pictures that could be read.
        missing: files that should exist but do not.
        unexpected: irregularities known to the data set: stray files, known faults.
        broken: one line for each picture that could not be read, missing or damaged.
        duplicates: pairs of names with identical pictures.
        shared: pairs of names with identical pictures, one here and one in an earlier split.
        shares: percentage of pixels by class name; empty without labels.
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
        split: its name in later splits' findings.
        earlier: digests of the earlier splits' pictures, to which this split's are added. A
            training picture that is also in a test split is a leak.
    """
    earlier = {} if earlier is None else earlier
    missing = _missing(pictures)
    broken: list[str] = []
    shared: list[tuple[str, str]] = []
    name_by_digest: dict[bytes, str] = {}
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
        if digest in name_by_digest:
            duplicates.append((name_by_digest[digest], name))
        elif digest in earlier:
            shared.append((earlier[digest], name))
        name_by_digest.setdefault(digest, name)
    for digest, name in name_by_digest.items():
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
