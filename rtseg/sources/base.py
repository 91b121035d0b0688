"""The interface of every source of frames."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Self

from rtseg.frames import Frame, Packet
from rtseg.media.info import SourceInfo


class Source(ABC):
    """Delivers frames in order, once. Open on construction; a context manager.

    Iterating yields `Frame`s and, between them in time order, the `Packet`s of the streams to be
    copied. The iteration ends when the stream ends; everything else raises an error of
    `rtseg.errors`. A truncated stream delivers every frame it has, then raises TruncatedError.
    Every read has a time limit.

    `next(source)` takes one item; a loop afterwards continues from there.

    One thread iterates; `close` may be called from another one, more than once.

    Attributes:
        info: the source's description of itself.
        reconnects: how many times a live source went away and came back.
        status: a message for people while no frames arrive ("reconnecting…"), else "".
    """

    info: SourceInfo
    reconnects: int = 0
    status: str = ""
    _begun: Iterator[Frame | Packet] | None = None

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__iter__" in vars(cls):
            cls.__iter__ = _continuing(cls.__iter__)  # type: ignore[method-assign]

    @abstractmethod
    def __iter__(self) -> Iterator[Frame | Packet]: ...

    def __next__(self) -> Frame | Packet:
        """Return the next frame or packet."""
        if self._begun is None:
            self._begun = iter(self)
        return next(self._begun)

    @abstractmethod
    def close(self) -> None:
        """Release the file, device or connection. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


_Iter = Callable[[Any], Iterator[Frame | Packet]]


def _continuing(deliver: _Iter) -> _Iter:
    """Make a source's `__iter__` continue where `next` left off."""

    @functools.wraps(deliver)
    def __iter__(self: Source) -> Iterator[Frame | Packet]:  # noqa: N807
        return deliver(self) if self._begun is None else self._begun

    return __iter__
