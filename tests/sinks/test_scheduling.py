"""Encoders do not change the process's scheduling."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

WRITE = """
import os, sys
from fractions import Fraction
import numpy as np
from rtseg.frames import Frame
from rtseg.settings import EncodeSettings
from rtseg.sinks import open_sink
from rtseg.media.info import SourceInfo

info = SourceInfo(
    name="x", width=64, height=64, time_base=Fraction(1, 25), frame_rate=Fraction(25)
)
picture = np.zeros((64, 64, 3), np.uint8)
sink = open_sink(sys.argv[1], settings=EncodeSettings(codec="av1", preset="12"))
sink.open(info, width=64, height=64)
frame = Frame(image=picture, index=0, pts=0, time_base=info.time_base)
sink.write(frame, None, picture)
print(sorted({os.sched_getscheduler(int(task)) for task in os.listdir("/proc/self/task")}))
sink.close("finished")
"""


@pytest.mark.skipif(not hasattr(os, "sched_getscheduler"), reason="Linux only")
def test_av1_takes_no_real_time_priority(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WRITE, str(tmp_path / "out.mkv")],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"[{os.SCHED_OTHER}]"
