"""How many files an hour `rtseg batch` does with one and with two processes, and what they cost.

    python -m tests.benchmarks.batch [--files 6] [--frames 90] [--processes 1 2]

Files are 1280x720 at 30 frames a second, H.264, a moving face; each becomes an overlay in H.264 and
its labels. Processes share the cores out among them. Starting up and loading the network are in the
figures: of few short files they are a good part. `--costs` measures instead where one file's time
goes, and what it takes on disk, with all stages one after the other on one thread.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from rtseg.batch import BatchSettings, LocalRunner, plan_tasks, run_batch
from rtseg.settings import EncodeSettings, ModelSettings, thread_count

RATE = 30


def make_files(folder: Path, *, files: int, frames: int) -> list[str]:
    """The same moving face in each; encoding it once is enough."""
    from rtseg.sinks.video import VideoSink
    from rtseg.sources.synthetic import MovingFaceSource

    folder.mkdir()
    first = folder / "face-00.mp4"
    with MovingFaceSource(frame_count=frames) as source:
        sink = VideoSink(str(first), settings=EncodeSettings())
        sink.open(source.info, width=source.info.width, height=source.info.height)
        for frame in source:
            sink.write(frame, None, frame.image)  # type: ignore[arg-type]
        sink.close("finished")
    names = [first]
    for number in range(1, files):
        names.append(folder / f"face-{number:02d}.mp4")
        names[-1].write_bytes(first.read_bytes())
    return [str(name) for name in names]


def measure(inputs: list[str], folder: Path, *, processes: int) -> float:
    """Seconds for all of them."""
    threads = max(1, thread_count(0) // processes)
    settings = BatchSettings(labels=True, model=ModelSettings(threads=threads))
    tasks = plan_tasks(inputs, folder=str(folder), settings=settings)
    began = time.monotonic()
    report = run_batch(tasks, LocalRunner(processes, tries=1), folder=str(folder))
    seconds = time.monotonic() - began
    if report.exit_code:
        raise SystemExit(report.results[0].message)
    return seconds


def costs(source: str, folder: Path) -> list[str]:
    """Milliseconds a frame by stage, and bytes a second of video."""
    from rtseg.process import process_video

    folder.mkdir()
    pictures, labels = folder / "out.mp4", folder / "out.labels.mkv"
    model = ModelSettings(threads=1)
    summary = process_video(source, pictures, labels=labels, model=model, overlap=False)
    seconds = summary.frames / RATE
    lines = [
        f"{stage}: {percentiles.mean:.2f} ms a frame"
        for stage, percentiles in summary.stages.items()
    ]
    for name, path in (("input", Path(source)), ("overlay", pictures), ("labels", labels)):
        lines.append(f"{name}: {path.stat().st_size / seconds / 1e6 * 3600 / 1e3:.2f} GB an hour")
    return lines


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--costs", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        inputs = make_files(folder / "in", files=given.files, frames=given.frames)
        if given.costs:
            sys.stdout.write("\n".join(costs(inputs[0], folder / "out")) + "\n")
            return
        sys.stdout.write("| processes | files an hour | frames a second |\n| --- | --- | --- |\n")
        for count in given.processes:
            seconds = measure(inputs, folder / f"out-{count}", processes=count)
            rate = given.files / seconds
            sys.stdout.write(f"| {count} | {rate * 3600:.0f} | {rate * given.frames:.1f} |\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
