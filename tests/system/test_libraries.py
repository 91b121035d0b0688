"""A missing system library is reported in one line with the package to install."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from rtseg.system.libraries import missing_library
from tests.support.clips import MakeClip

TAIL = ": cannot open shared object file: No such file or directory"


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ImportError("libGL.so.1" + TAIL), ["libGL.so.1", "apt-get install libgl1", "headless"]),
        (ImportError("libgthread-2.0.so.0" + TAIL), ["apt-get install libglib2.0-0"]),
        (ImportError("libSM.so.6" + TAIL), ["libsm6", "dnf install libSM"]),
        (ImportError("/opt/x/libXext.so.6" + TAIL), ["libXext.so.6: is missing", "libxext6"]),
        (OSError("libgomp-d22c30c5.so.1" + TAIL), ["apt-file search libgomp-d22c30c5.so.1"]),
        (OSError("libgomp.so.1" + TAIL), ["apt-get install libgomp1", "PyTorch"]),
        (ImportError("libwhatever.so.7" + TAIL), ["dnf provides '*/libwhatever.so.7'"]),
        (
            ImportError("/lib/libc.so.6: version `GLIBC_2.34' not found (required by x.so)"),
            ["libc.so.6: is too old", "GLIBC_2.34 is needed"],
        ),
        (ImportError("dlopen(x): Library not loaded: @rpath/libz.dylib"), ["libz.dylib", "brew"]),
        (ImportError("DLL load failed while importing cv2: not found"), ["Visual C++"]),
    ],
)
def test_the_package_to_install_is_named(error: Exception, words: list[str]) -> None:
    missing = missing_library(error)
    assert missing is not None
    assert missing.exit_code == 7
    for word in words:
        assert word in str(missing)
    assert "\n" not in str(missing)


@pytest.mark.parametrize(
    "error",
    [
        ImportError("cannot import name 'x' from 'y'"),
        ModuleNotFoundError("No module named 'x'"),
        FileNotFoundError(2, "No such file or directory"),
        ValueError("libGL.so.1" + TAIL),
    ],
)
def test_other_import_errors_are_bugs(error: Exception) -> None:
    assert missing_library(error) is None


@pytest.mark.parametrize("command", ["video", "batch", "image"])
def test_commands_exit_with_code_7(make_clip: MakeClip, tmp_path: Path, command: str) -> None:
    """OpenCV as in a slim container."""
    (tmp_path / "modules").mkdir()
    broken = f'raise ImportError("libGL.so.1{TAIL}")\n'
    (tmp_path / "modules" / "cv2.py").write_text(broken)
    clip = make_clip("in.mp4", ticks=range(2))
    photo = tmp_path / "photo.png"
    from PIL import Image

    Image.new("RGB", (64, 48)).save(photo)
    words = {
        "video": ["video", clip, "-o", tmp_path / "out.mp4"],
        "batch": ["video", clip, make_clip("b.mp4"), "-o", tmp_path / "out"],
        "image": ["image", photo, "-o", tmp_path / "out"],
    }[command]
    root = Path(__file__).parents[2]
    path = os.pathsep.join([str(tmp_path / "modules"), str(root)])
    done = subprocess.run(
        [sys.executable, "-m", "rtseg", *map(str, words)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 7, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert "apt-get install libgl1" in line
