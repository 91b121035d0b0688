"""The example of a sink of one's own does what it says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.clips import MakeClip

ROOT = Path(__file__).parents[2]


def test_it_writes_a_line_a_frame(make_clip: MakeClip, tmp_path: Path) -> None:
    output = tmp_path / "out.skin"
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples/custom_sink.py"), str(make_clip()), str(output)],
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    first, *lines = output.read_text().splitlines()
    assert first == "# clip.mp4, 64x48"
    assert [float(line.split()[0]) for line in lines] == [index / 25 for index in range(12)]
    assert all(0 <= float(line.split()[1]) <= 1 for line in lines)
