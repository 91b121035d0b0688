"""Check that git tracks no picture, sound or clip outside the allow-list.

`python -m tests.support.tracked_media` names each such file and exits with 1.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

ALLOWED = {
    "docs/pictures/finder-reliability.png",  # a diagram, by `python -m training calibrate`
    "docs/pictures/accuracy-speed.png",  # a diagram, by tests/benchmarks/accuracy_speed.py
    "tests/goldens/face-parts.png",  # label ids, by `python -m training release`
    "rtseg/web/icon.svg",  # the page's icon, drawn for it
    # rendered from NASA's public-domain portrait of Eileen Collins, the first three by
    # docs/render_pictures.py
    "docs/pictures/effects-face.jpg",
    "docs/pictures/effects-hair.jpg",
    "docs/pictures/results.jpg",
    ".github/face-parts.jpg",
}

SUFFIXES = frozenset(
    {".avi", ".avif", ".bmp", ".dng", ".exr", ".gif", ".heic", ".ico", ".jp2", ".jpeg", ".jpg"}
    | {".pgm", ".png", ".pnm", ".ppm", ".psd", ".svg", ".tga", ".tif", ".tiff", ".webp"}
    | {".3gp", ".flv", ".m2ts", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".ts"}
    | {".webm", ".wmv", ".y4m", ".yuv", ".npy", ".npz", ".pkl"}
    | {".aac", ".flac", ".m4a", ".mp3", ".oga", ".ogg", ".opus", ".wav"}
)

SIGNATURES = (
    b"\x89PNG",
    b"\xff\xd8\xff",
    b"GIF8",
    b"RIFF",
    b"\x1aE\xdf\xa3",
    b"OggS",
    b"fLaC",
    b"ID3",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
)
"""First bytes of PNG, JPEG, GIF, AVI/WAV/WebP, Matroska, Ogg, FLAC, MP3, BMP and TIFF."""


def is_media(path: Path) -> bool:
    """Whether a file is a picture, sound or clip, by its name or by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    if not path.is_file() or path.suffix in (".py", ".md", ".txt", ".cfg", ".toml"):
        return False
    with path.open("rb") as file:
        head = file.read(12)
    return head.startswith(SIGNATURES) or head[4:8] == b"ftyp"


def offenders(root: Path, names: Iterable[str]) -> list[str]:
    """The tracked files that are media and not allowed, sorted."""
    return sorted(name for name in names if name not in ALLOWED and is_media(root / name))


def tracked(root: Path) -> list[str]:
    """Every file that git tracks below `root`."""
    listing = subprocess.run(
        ["git", "ls-files", "-z"],
        cwd=root,
        check=True,
        capture_output=True,
    )
    return [name for name in listing.stdout.decode().split("\0") if name]


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    names = offenders(root, tracked(root))
    for name in names:
        sys.stderr.write(f"{name}: media files are not committed (allowed: {sorted(ALLOWED)})\n")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
