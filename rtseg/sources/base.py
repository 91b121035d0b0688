"""The contract of everything that frames come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from rtseg.frames import Frame, Packet
from rtseg.media.info import SourceInfo


class Source(ABC):
    """Delivers frames in order, once. Open on construction; a context manager.

    Iterating yields `Frame`s and, between them in the order of their times, the `Packet`s of the
    streams that are to be copied. The end of the stream is the end of the iteration; anything
    else is an error of `rtseg.errors`. A stream that ends in the middle delivers every frame it
    has, then raises TruncatedError. No read waits without a time limit.

    One thread iterates; `close` may be called from another one, more than once.

    Attributes:
        info: what the source says of itself.
        reconnects: how often a live source was away and came (back).
        status: what people should know while no frame comes ("reconnecting…"), else "".
    """

    info: SourceInfo
    reconnects: int = 0
    status: str = ""

    @abstractmethod
    def __iter__(self) -> Iterator[Frame | Packet]: ...

    @abstractmethod
    def close(self) -> None:
        """Give back the file, device or connection. May be called twice."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
