"""Processor time of decoding, converting and encoding a frame: `python -m tests.benchmarks.media`.

Processor time says what a step costs on a busy machine too. Frames are decoded, converted and
encoded one step after the other; the encoder's presets take turns.
"""

from __future__ import annotations

import io
import statistics
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import av
import click
import cv2

from rtseg.sinks.yuv import YuvConverter
from rtseg.sources.rgb import RgbConverter
from rtseg.system.machine import this_machine
from tests.benchmarks.clips import clip_parser, given_or_made_clip

PRESETS = ("ultrafast", "superfast", "veryfast", "faster")
THREADS = (1, 2)


def main() -> int:
    """Measure, and print one line for each step."""
    options = clip_parser(__doc__, frames=60).parse_args()
    click.echo(this_machine().line())
    cv2.setNumThreads(1)
    with given_or_made_clip(options.input, frames=options.frames) as clip:
        measure(clip, options.frames)
    return 0


def measure(clip: Path, count: int) -> None:
    """Print the milliseconds of processor time that each step takes for a frame."""
    for threads in THREADS:
        took, pictures = timed(partial(decoded, clip, count, threads=threads))
        say(f"decoding, {threads} threads", took / len(pictures))
    to_rgb = RgbConverter(pictures[0])
    images, times = [], []
    for picture in pictures:
        took, image = timed(partial(to_rgb.convert, picture))
        images.append(image)
        times.append(took)
    say("to RGB", statistics.median(times))
    height, width = images[0].shape[:2]
    to_yuv = YuvConverter(
        pixel_format="yuv420p",
        width=width + width % 2,
        height=height + height % 2,
        colour=to_rgb.colour,
        picture_size=(width, height),
    )
    frames, times = [], []
    for image in images:
        took, frame = timed(partial(to_yuv.convert, image))
        frames.append(frame)
        times.append(took)
    say("to 4:2:0", statistics.median(times))
    for preset in PRESETS:
        for threads in THREADS:
            took, size = timed(partial(encoded, frames, preset=preset, threads=threads))
            say(
                f"H.264 {preset}, {threads} threads",
                took / len(frames),
                f", {size / len(frames) / 1024:.1f} KiB",
            )


def decoded(clip: Path, count: int, *, threads: int) -> list[Any]:
    """The first pictures of a clip."""
    with av.open(str(clip)) as container:
        stream = container.streams.video[0]
        stream.codec_context.thread_count = threads
        return [picture for picture, _ in zip(container.decode(stream), range(count), strict=False)]


def encoded(frames: list[Any], *, preset: str, threads: int) -> int:
    """Encode frames as rtseg does by default, but for the preset; return the bytes."""
    with av.open(io.BytesIO(), "w", format="matroska") as container:
        stream: Any = container.add_stream(
            "libx264", rate=30, options={"crf": "23", "preset": preset, "rc-lookahead": "10"}
        )
        stream.width, stream.height = frames[0].width, frames[0].height
        stream.pix_fmt = "yuv420p"
        stream.codec_context.max_b_frames = 0
        stream.codec_context.thread_count = threads
        size = 0
        for index, frame in enumerate((*frames, None)):
            if frame is not None:
                frame.pts, frame.time_base = index, Fraction(1, 30)
            size += sum(packet.size for packet in stream.encode(frame))
    return size


def timed(call: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds of this process's processor time, all threads, and the call's result."""
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def say(step: str, seconds: float, rest: str = "") -> None:
    """Print one step."""
    click.echo(f"{step}: {seconds * 1e3:.2f} ms{rest}")


if __name__ == "__main__":
    sys.exit(main())
