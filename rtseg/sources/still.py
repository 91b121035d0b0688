"""Read one still picture safely: supported formats, size limits, pixels as RGB."""

from __future__ import annotations

import warnings
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtseg.errors import SourceError
from rtseg.frames import Image

SUFFIXES = (
    ".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".jif", ".mpo", ".webp", ".avif", ".heic",
    ".heif", ".hif", ".gif", ".bmp", ".dib", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm",
    ".jp2", ".j2k", ".j2c", ".jpc", ".jpf", ".jpx", ".tga", ".qoi", ".sgi", ".pcx", ".ico", ".psd",
)  # fmt: skip
"""File suffixes that count as pictures in a folder, in either case."""

MOST_PIXELS = 1 << 27
"""The largest picture that is read: 134 million pixels, 400 MB as RGB (8K has 33 million)."""

_FORMATS = (
    "PNG", "JPEG", "MPO", "WEBP", "AVIF", "HEIF", "GIF", "BMP", "DIB", "TIFF", "PPM", "JPEG2000",
    "QOI", "SGI", "PCX", "ICO", "PSD",
)  # fmt: skip
"""Pillow decoders that an input may reach; others stay disabled (EPS runs Ghostscript)."""

_BY_NAME_ALONE = {".tga": "TGA"}
"""Formats without a signature, whose decoders would accept all kinds of files."""

_ANIMATED = frozenset({"PNG", "WEBP", "AVIF", "GIF"})
"""Formats whose several pictures form an animation rather than pages, layers or sizes."""

_HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

HEIF_ADVICE = "HEIC needs pillow-heif: pip install 'rtseg[heif]'"

_MARKS = (
    b"\xff\xd8\xff", b"\x89PNG\r\n", b"GIF87a", b"GIF89a", b"II*\0", b"MM\0*", b"8BPS", b"qoif",
    b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51", b"\xff\x0a", b"\0\0\0\x0cJXL ",
)  # fmt: skip
"""File signatures of picture formats."""


def read_size(path: Path | str) -> tuple[int, int]:
    """Read the (width, height) of a picture as displayed, from its header alone.

    Raises:
        SourceError: it cannot be read, or is larger than `MOST_PIXELS`.
    """
    with open_picture(path) as picture:
        width, height = picture.size
        turned = _orientation(picture) >= 5
    return (height, width) if turned else (width, height)


def read_image(path: Path | str) -> Image:
    """Read a picture as uint8 (height, width, 3) RGB, with its EXIF orientation applied.

    16-bit values keep their upper eight bits; transparency is blended on white; grey, palette
    and CMYK become RGB. If the file holds several pictures, the first is read.

    Raises:
        SourceError: it cannot be read, or is larger than `MOST_PIXELS` (according to its header,
            before memory is allocated).
    """
    with open_picture(path) as picture:
        try:
            return rgb_of(picture)
        except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
            raise SourceError(f"{path}: cannot be read as a picture: {error}") from None


def rgb_of(picture: Any) -> Image:
    """Convert a Pillow picture as `read_image` does.

    Raises:
        OSError, SyntaxError, ValueError, EOFError, MemoryError: from Pillow.
    """
    from PIL import ImageOps

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings about odd metadata
        picture.load()
        return _as_rgb(ImageOps.exif_transpose(picture))


def is_animation(path: Path | str) -> bool:
    """Whether a file is an animated GIF, PNG, WebP or AVIF.

    An unreadable file is not; reading it will say why.
    """
    try:
        with open_picture(path) as picture:
            return is_animated(picture)
    except SourceError:
        return False


def is_animated(picture: Any) -> bool:
    """Whether an open Pillow picture is animated; pages, layers and thumbnails are not."""
    try:
        return picture.format in _ANIMATED and bool(getattr(picture, "is_animated", False))
    except (OSError, SyntaxError, ValueError, EOFError):
        return False


def why_unreadable(path: Path) -> str:
    """Why a picture with a known suffix cannot be read on this machine; "" if it can."""
    suffix = path.suffix.lower()
    if suffix in (".heic", ".heif", ".hif") and not _has_heif():
        return HEIF_ADVICE
    if suffix == ".avif" and not _has("AVIF"):
        return "this Pillow cannot read AVIF; install Pillow 11.3 or newer"
    return ""


def looks_like_picture(path: Path) -> bool:
    """Whether a file has a picture's signature, whatever its name."""
    head = _head(path)
    is_webp = head[:4] == b"RIFF" and head[8:12] == b"WEBP"
    is_heif = head[4:8] == b"ftyp" and head[8:12] in (*_HEIF_BRANDS, b"avif", b"avis")
    return head.startswith(_MARKS) or is_webp or is_heif


def looks_like_video(path: Path) -> bool:
    """Whether a file has the signature of a common video container."""
    head = _head(path)
    is_avi = head[:4] == b"RIFF" and head[8:11] == b"AVI"
    is_mp4 = head[4:8] in (b"ftyp", b"moov", b"mdat") and not looks_like_picture(path)
    return head.startswith((b"\x1a\x45\xdf\xa3", b"FLV\x01", b"\0\0\x01\xba")) or is_avi or is_mp4


def _head(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(16)
    except OSError:
        return b""


def _what_it_is(path: Path) -> str:
    """Say what a file is that Pillow cannot read, and what to do about it."""
    head = _head(path)
    if head[4:8] == b"ftyp" and head[8:12] in _HEIF_BRANDS and not _has_heif():
        return HEIF_ADVICE
    if head[4:8] == b"ftyp" and head[8:12] in (b"avif", b"avis") and not _has("AVIF"):
        return "this Pillow cannot read AVIF; install Pillow 11.3 or newer"
    if head.startswith((b"\xff\x0a", b"\0\0\0\x0cJXL ")):
        return "JPEG XL is not supported; convert it to PNG"
    if looks_like_video(path):
        return "it is a video: rtseg video takes it"
    return "the file is damaged, or of another kind"


@cache
def _has_heif() -> bool:
    """Whether pillow-heif is installed, so that Pillow reads HEIC."""
    if find_spec("pillow_heif") is None:
        return False
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False)
    return True


def _has(name: str) -> bool:
    from PIL import Image as Pictures

    Pictures.init()
    return name in Pictures.OPEN


def _formats(suffix: str) -> list[str]:
    """The available decoders that a file with this suffix may reach."""
    from PIL import Image as Pictures

    Pictures.init()
    _has_heif()
    names = [*_FORMATS, *filter(None, [_BY_NAME_ALONE.get(suffix)])]
    return [name for name in names if name in Pictures.OPEN]


def open_picture(path: Path | str) -> Any:
    """Open a picture with Pillow, reading only its header.

    Raises:
        SourceError: it is not a picture, or is too large.
    """
    from PIL import Image as Pictures

    try:
        if not Path(path).is_file():
            raise SourceError(f"{path}: no such file")
        with warnings.catch_warnings():
            # Our own limit is stricter than the one at which Pillow raises.
            warnings.simplefilter("ignore", Pictures.DecompressionBombWarning)
            picture = Pictures.open(path, formats=_formats(Path(path).suffix.lower()))
    except Pictures.DecompressionBombError:
        raise SourceError(_too_large(path, "")) from None
    except (OSError, SyntaxError, ValueError) as error:
        reason = getattr(error, "strerror", None) or _what_it_is(Path(path))
        raise SourceError(f"{path}: cannot be read as a picture: {reason}") from None
    width, height = picture.size
    if width * height > MOST_PIXELS:
        picture.close()
        raise SourceError(_too_large(path, f" of {width}x{height}"))
    return picture


def _too_large(path: Path | str, size: str) -> str:
    return f"{path}: a picture{size} is too large; allowed: {MOST_PIXELS // 10**6} million pixels"


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
