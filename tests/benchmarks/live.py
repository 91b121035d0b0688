"""Measure how old the picture on the page is, and what showing it costs.

    python -m tests.benchmarks.live [--seconds 15] [--rate 30] [--case webrtc]

A face moves in front of a camera of 1280x720, with the time painted into each picture; rtseg
segments it with the shipped model and draws the overlay; Chromium shows the page, and a script
reads the time from the pixels on the screen. In the case `visitor` the browser itself paints the
picture, which travels to rtseg and back. Needs Chromium and playwright. Percentages are of one
core, for rtseg's process alone; the browser runs on the same cores.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from rtseg.frames import Frame, Packet
from rtseg.sources.base import Source
from tests.support.pages import CLOCK_BITS, CLOCK_CELL, time_code

if TYPE_CHECKING:
    from rtseg.wiring import Run

ROOT = Path(__file__).parents[2]
WIDTH, HEIGHT = 1280, 720
SETTLE_SECONDS = 6.0
_TICKS = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

CASES = {
    "nobody": ("watch", 0, "webrtc"),
    "webrtc": ("watch", 1, "webrtc"),
    "webrtc, 3 viewers": ("watch", 3, "webrtc"),
    "mjpeg": ("watch", 1, "mjpeg"),
    "mjpeg, 3 viewers": ("watch", 3, "mjpeg"),
    "visitor": ("visit", 1, "webrtc"),
}

PAINT = """([pixels, rate]) => {
  const canvas = document.createElement("canvas"); canvas.width = %d; canvas.height = %d;
  const context = canvas.getContext("2d"); const face = new Image(); face.src = pixels;
  let count = 0;
  setInterval(() => {
    context.drawImage(face, 8 * (count %% 12), 0, canvas.width, canvas.height); count += 1;
    let now = Date.now() %% (2 ** %d);
    for (let bit = 0; bit < %d; bit++) {
      context.fillStyle = now & 1 ? "#fff" : "#000"; now >>>= 1;
      context.fillRect(bit * %d, 0, %d, %d);
    }
  }, 1000 / rate);
  navigator.mediaDevices.getUserMedia = async () => canvas.captureStream(rate);
}""" % (  # noqa: UP031  braces are JavaScript's
    WIDTH, HEIGHT, CLOCK_BITS, CLOCK_BITS, CLOCK_CELL, CLOCK_CELL, CLOCK_CELL,
)  # fmt: skip


class ClockedFace(Source):
    """A moving face as a camera would deliver it, each picture with its time."""

    def __init__(self, rate: float) -> None:
        from rtseg.sources.synthetic import MovingFaceSource

        drawn = MovingFaceSource(width=WIDTH, height=HEIGHT, frame_count=90)
        self._images = [item.image for item in drawn if isinstance(item, Frame)]
        self.info = replace(drawn.info, name="a moving face", is_live=True, frame_count=None)
        self._rate = rate
        self._over = threading.Event()

    def __iter__(self) -> Iterator[Frame | Packet]:
        begun, index = time.monotonic(), 0
        while not self._over.is_set():
            index = max(index + 1, int((time.monotonic() - begun) * self._rate))
            self._over.wait(max(0.0, begun + index / self._rate - time.monotonic()))
            image = self._images[index % len(self._images)].copy()
            time_code(image, int(time.time() * 1000) % (1 << CLOCK_BITS))
            yield Frame(
                image=image,
                index=index,
                pts=round(index / self._rate / self.info.time_base),
                time_base=self.info.time_base,
                captured_ns=time.monotonic_ns(),
            )

    def close(self) -> None:
        self._over.set()


def serve(kind: str, rate: float) -> None:
    """rtseg in its own process, which ends when its standard input is closed."""
    from rtseg.backends import open_backend
    from rtseg.settings import WebSettings
    from rtseg.sinks.web import WebAddress, open_web_sink
    from rtseg.system.threads import half

    address = WebAddress(host="127.0.0.1", port=0)
    if kind == "visit":
        from rtseg.serving.stream_server import StreamServer
        from rtseg.serving.visitors import VisitorPage

        with open_backend() as backend:
            streams = StreamServer(backend)
            page = VisitorPage(address, streams, threads=half(0))
            page.open()
            sys.stdout.write(f"{page.url}\n")
            sys.stdout.flush()
            sys.stdin.read()
            page.close()
            streams.close()
        return
    from rtseg.controls import Controls
    from rtseg.process import open_run
    from rtseg.sinks.memory import MemorySink

    sink = open_web_sink(address, settings=WebSettings(), threads=half(0))

    def say(url: str) -> None:
        sys.stdout.write(f"{url}\n")
        sys.stdout.flush()

    sink.on_open = say
    with open_run(ClockedFace(rate), more_sinks=[lambda _info: sink]) as run:
        sink.state = Controls(run, record=lambda _name: MemorySink()).page_state
        threading.Thread(target=stop_at_end_of_input, args=(run,), daemon=True).start()
        run.run()


def stop_at_end_of_input(run: Run) -> None:
    """Stop the run once nothing more can come from standard input."""
    sys.stdin.read()
    run.stop()


@dataclass
class Measured:
    """Measure one case: percentages of a core, milliseconds, pictures per second."""

    case: str
    processor: float
    segmented: float
    ages: np.ndarray
    inside: float
    dropped: int


def processor_seconds(pid: int) -> float:
    """The processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def measure(case: str, playwright: Any, *, seconds: float, rate: float) -> Measured:
    from tests.browser.conftest import FAKE_CAMERA, FLAGS, PROBES, chromium_path

    kind, viewers, transport = CASES[case]
    command = [sys.executable, "-m", "tests.benchmarks.live", "--serve", kind, "--rate", str(rate)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        browser = playwright.chromium.launch(
            executable_path=chromium_path(), args=[*FLAGS, *FAKE_CAMERA]
        )
        tabs = []
        for _ in range(viewers):
            tab = browser.new_page(viewport={"width": 1280, "height": 800})
            tab.add_init_script(path=str(PROBES))
            tab.goto(url)
            if kind == "visit":
                tab.evaluate(PAINT, [_face_as_url(), rate])
                tab.click("#start")
            elif transport == "mjpeg":
                tab.select_option("#transport", "mjpeg")
            name = {"webrtc": "WebRTC", "mjpeg": "MJPEG"}[transport]
            tab.wait_for_function(f"() => using === '{name}'", timeout=60_000)
            tabs.append(tab)
        time.sleep(SETTLE_SECONDS)
        used, begun = processor_seconds(process.pid), time.monotonic()
        ages, rates, inside, dropped = [], [], [], 0
        element = "still" if transport == "mjpeg" else "video"
        while time.monotonic() < begun + seconds:
            if not tabs:
                time.sleep(0.5)
                continue
            ages.append(
                tabs[0].evaluate("(clock) => probe.age(clock)", [element, CLOCK_BITS, CLOCK_CELL])
            )
            stats = tabs[0].evaluate("() => page")
            rates.append(stats["frames_per_second"])
            inside.append(stats["latency_ms"]["p50"])
            dropped = stats["dropped"]
            tabs[0].wait_for_timeout(37)
        used = processor_seconds(process.pid) - used
        took = time.monotonic() - begun
        browser.close()
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
    plausible = np.array([age for age in ages if 0 <= age < 60_000] or [np.nan])
    return Measured(
        case=case,
        processor=100 * used / took,
        segmented=float(np.mean(rates)) if rates else 0.0,
        ages=plausible,
        inside=float(np.mean(inside)) if inside else 0.0,
        dropped=dropped,
    )


def _face_as_url() -> str:
    import base64

    import cv2
    from skimage.data import astronaut

    picture = cv2.resize(astronaut()[:288, :512], (WIDTH, HEIGHT))
    _, jpeg = cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return "data:image/jpeg;base64," + base64.b64encode(jpeg.tobytes()).decode()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--rate", type=float, default=30.0, help="of the camera, pictures a second")
    parser.add_argument("--case", choices=CASES, action="append")
    parser.add_argument("--serve", choices=("watch", "visit"))
    arguments = parser.parse_args()
    if arguments.serve:
        serve(arguments.serve, arguments.rate)
        return
    from playwright.sync_api import sync_playwright

    write = sys.stdout.write
    columns = [
        *("case", "segmented a second", "latency p50", "p95", "of it in rtseg"),
        *("rtseg's processor", "dropped"),
    ]
    write(f"| {' | '.join(columns)} |\n|{' --- |' * len(columns)}\n")
    with sync_playwright() as playwright:
        for case in arguments.case or CASES:
            measured = measure(case, playwright, seconds=arguments.seconds, rate=arguments.rate)
            p50, p95 = np.percentile(measured.ages, (50, 95))
            write(
                f"| {case} | {measured.segmented:.1f} | {p50:.0f} ms | {p95:.0f} ms | "
                f"{measured.inside:.0f} ms | {measured.processor:.0f}% | {measured.dropped} |\n"
            )
            sys.stdout.flush()


if __name__ == "__main__":
    main()
