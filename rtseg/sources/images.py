"""Still pictures, one or many: a file, a folder, a quoted glob, a printf pattern."""

from __future__ import annotations

import glob
import re
import time
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.errors import NoVideoError, SourceError, listed
from rtseg.frames import Frame, Image
from rtseg.media.info import SourceInfo
from rtseg.media.urls import local_path
from rtseg.settings import ReadSettings
from rtseg.sources.base import Source
from rtseg.system.files import file_ids

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".jp2",
)  # fmt: skip
"""What a folder's files must end in to count as pictures, in either case."""

FRAME_RATE = Fraction(25)
"""Pictures a second, where pictures are played as a video."""

MOST_PIXELS = 1 << 27
"""134 million: the largest picture that is read (400 MB as RGB). 8K video has 33 million."""

_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM", "JPEG2000")
"""Pillow's decoders that a picture may reach; the others (EPS starts Ghostscript) stay shut."""


class ImagesSource(Source):
    """Plays still pictures in their natural order (`2.png` before `10.png`), 25 a second.

    The first picture rules the size: others are fitted into it, centred on black, and a picture of
    another size than the one before is marked as a discontinuity.

    Args:
        location: a picture, a folder, a glob (`shots/*.png`), or a printf pattern
            (`shots/%06d.png`).
        settings: `start` and `end` choose pictures by their times; the first one delivered is at 0.

    Raises:
        SourceError: nothing is there, or the first picture cannot be read.
        NoVideoError: no picture is there, or none between `start` and `end`.
    """

    def __init__(self, location: str, *, settings: ReadSettings) -> None:
        pictures = find_images(location)
        self._paths = _within(pictures, settings, location)
        self._closed = False
        width, height = read_size(self._paths[0])
        self.info = SourceInfo(
            name=location,
            width=width,
            height=height,
            time_base=1 / FRAME_RATE,
            frame_rate=FRAME_RATE,
            frame_count=len(self._paths),
            duration_seconds=float(len(self._paths) / FRAME_RATE),
            read_files=file_ids(pictures),
        )

    def __iter__(self) -> Iterator[Frame]:
        size = (self.info.height, self.info.width)
        previous: tuple[int, ...] = size
        for index, path in enumerate(self._paths):
            if self._closed:
                return
            image = read_image(path)
            shape = image.shape[:2]
            yield Frame(
                image=image if shape == size else letterboxed(image, *size),
                index=index,
                pts=index,
                time_base=self.info.time_base,
                duration=1,
                captured_ns=time.monotonic_ns(),
                discontinuity=shape != previous,
            )
            previous = shape

    def close(self) -> None:
        """Deliver no more pictures."""
        self._closed = True


def _within(paths: tuple[Path, ...], settings: ReadSettings, location: str) -> tuple[Path, ...]:
    """The pictures whose times lie from `start` on and before `end`."""
    # By the decimals that were written: 0.4 is ten pictures, though the nearest float is above it.
    start = Fraction(str(settings.start or 0))
    end = None if settings.end is None else Fraction(str(settings.end))
    kept = tuple(
        path
        for i, path in enumerate(paths)
        if i / FRAME_RATE >= start and (end is None or i / FRAME_RATE < end)
    )
    if not kept:
        seconds = float(len(paths) / FRAME_RATE)
        raise NoVideoError(
            f"{location}: no picture between --start and --end; {len(paths)} pictures last "
            f"{seconds:g} s"
        )
    return kept


def find_images(location: str) -> tuple[Path, ...]:
    """The pictures behind a file, a folder, a glob or a printf pattern, in natural order.

    A file's own name wins over what its signs would mean (`shot[1].png`, `100%d.png`).

    Raises:
        SourceError: nothing is there.
        NoVideoError: a folder or pattern holds no picture.
    """
    path = Path(location)
    if path.is_dir():
        found = [p for p in path.iterdir() if p.suffix.lower() in SUFFIXES and p.name[0] != "."]
        what = f"a folder without pictures; allowed: {listed(SUFFIXES)}"
    elif path.exists():
        return (path,)
    elif re.search(r"%0?\d*d", path.name):
        found, what = _numbered(path), "no file fits this pattern"
    elif glob.has_magic(location):
        found, what = [Path(p) for p in glob.glob(location, recursive=True)], "no file fits this"  # noqa: PTH207
    else:
        raise SourceError(f"{location}: no such file or folder")
    files = sorted((p for p in found if p.is_file()), key=_natural)
    if not files:
        raise NoVideoError(f"{location}: {what}")
    return tuple(files)


def named_files(location: str) -> tuple[Path, ...]:
    """Every file that a folder or a pattern names, a picture or not; none where it is neither."""
    path = local_path(location)
    if path is None:
        return ()
    if path.is_dir():
        return tuple(path.iterdir())
    if path.exists():
        return (path,)
    numbered = _numbered(path) if re.search(r"%0?\d*d", path.name) else []
    matched = glob.glob(str(path), recursive=True) if glob.has_magic(str(path)) else []  # noqa: PTH207
    return (*numbered, *map(Path, matched))


def _numbered(pattern: Path) -> list[Path]:
    """Existing files of a printf pattern, at whatever number they begin."""
    parts = re.split(r"%0?\d*d", pattern.name)
    number = re.compile(r"(\d+)".join(re.escape(part.replace("%%", "%")) for part in parts))
    if not pattern.parent.is_dir():
        return []
    return [p for p in pattern.parent.iterdir() if number.fullmatch(p.name)]


def _natural(path: Path) -> tuple[tuple[int, int, str], ...]:
    """Sorts `2.png` before `10.png`, part by part; numbers before letters."""
    pieces = re.split(r"(\d+)", str(path).casefold())
    return tuple((0, int(piece), piece) if piece.isdigit() else (1, 0, piece) for piece in pieces)


def read_size(path: Path | str) -> tuple[int, int]:
    """(width, height) of a picture as it is meant to be seen, from its header alone.

    Raises:
        SourceError: it cannot be read, or is larger than `MOST_PIXELS`.
    """
    with _opened(path) as picture:
        width, height = picture.size
        turned = _orientation(picture) >= 5
    return (height, width) if turned else (width, height)


def read_image(path: Path | str) -> Image:
    """A picture as uint8 (height, width, 3) RGB, turned as its EXIF orientation says.

    16-bit values are cut to their upper eight bits; transparency is laid on white; grey, palette
    and CMYK become RGB. Of several pictures in one file, the first.

    Raises:
        SourceError: it cannot be read, or is larger than `MOST_PIXELS` (found from its header,
            before memory is taken for it).
    """
    with _opened(path) as picture:
        try:
            return rgb_of(picture)
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
            raise SourceError(f"{path}: cannot be read as a picture: {error}") from None


def rgb_of(picture: Any) -> Image:
    """A Pillow picture as `read_image` returns one.

    Raises:
        OSError, SyntaxError, ValueError, EOFError, MemoryError: as Pillow does.
    """
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        picture.load()
        return _as_rgb(ImageOps.exif_transpose(picture))


def _opened(path: Path | str) -> Any:
    """A Pillow picture of which only the header has been read.

    Raises:
        SourceError: it is no picture, or too large.
    """
    from PIL import Image as Pictures

    try:
        if not Path(path).is_file():
            raise SourceError(f"{path}: no such file")
        with warnings.catch_warnings():
            # Our own limit is stricter than the one that raises, and says what is allowed.
            warnings.simplefilter("ignore", Pictures.DecompressionBombWarning)
            Pictures.init()
            formats = [name for name in _FORMATS if name in Pictures.OPEN]
            picture = Pictures.open(path, formats=formats)
    except Pictures.DecompressionBombError:
        raise SourceError(_too_large(path, "")) from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "the file is damaged, or of another kind"
        raise SourceError(f"{path}: cannot be read as a picture: {reason}") from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        picture.close()
        raise SourceError(_too_large(path, f" of {width}x{height}"))
    return picture


def _too_large(path: Path | str, found: str) -> str:
    return f"{path}: a picture{found} is too large; allowed: {MOST_PIXELS // 10**6} million pixels"


def _orientation(picture: Any) -> int:
    """The EXIF orientation, 1 to 8; from 5 on, width and height change places."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return int(picture.getexif().get(0x0112, 1) or 1)


def _as_rgb(picture: Any) -> Image:
    from PIL import Image as Pictures

    if picture.mode in ("I;16", "I;16L", "I;16B", "I;16N", "I"):
        grey = np.asarray(picture).astype(np.int64)
        return _stacked((grey >> 8).clip(0, 255).astype(np.uint8))
    if picture.mode == "F":
        return _stacked(np.nan_to_num(np.asarray(picture)).clip(0, 255).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        ground = Pictures.new("RGBA", picture.size, "white")
        picture = Pictures.alpha_composite(ground, picture.convert("RGBA"))
    return np.array(picture.convert("RGB"), np.uint8)


def _stacked(grey: npt.NDArray[np.uint8]) -> Image:
    return np.repeat(grey[..., None], 3, axis=2)


def letterboxed(image: Image, height: int, width: int) -> Image:
    """The picture fitted into another size, centred on black, its proportions kept."""
    import cv2

    scale = min(height / image.shape[0], width / image.shape[1])
    size = (
        min(width, max(1, round(image.shape[1] * scale))),
        min(height, max(1, round(image.shape[0] * scale))),
    )
    method = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    fitted = cv2.resize(image, size, interpolation=method)
    boxed = np.zeros((height, width, 3), np.uint8)
    left, top = (width - size[0]) // 2, (height - size[1]) // 2
    boxed[top : top + size[1], left : left + size[0]] = fitted
    return boxed
