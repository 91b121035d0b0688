"""How many files an hour `rtseg batch` does with one and with two processes, and what they cost.

    python -m tests.benchmarks.batch [--files 6] [--frames 90] [--processes 1 2]

Files are 1280x720 at 30 frames a second, H.264, a moving face; each becomes an overlay in H.264 and
its labels. Processes share the cores out among them. Starting up and loading the network are in the
figures: of few short files they are a good part. `--costs` measures instead where one file's time
goes, and what it takes on disk, with all stages one after the other on one thread. `--cuts`
measures by how much labels after a cut differ from an uncut run's, and for how long.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

from rtseg.batch import BatchSettings, LocalRunner, plan_tasks, run_batch
from rtseg.batch.tasks import Piece
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


def cuts(folder: Path) -> list[str]:
    """The share of pixels that differ from an uncut run, by the frames since the cut.

    Twelve seconds of a moving face, with a key frame every second, in twelve pieces.
    """
    from rtseg.batch.worker import run_task
    from rtseg.sinks.labels.images import read_labels
    from rtseg.sources.synthetic import MovingFaceSource
    from tests.support.clips import make_clip

    with MovingFaceSource(frame_count=12 * RATE) as source:
        images = [source.image(number) for number in range(12 * RATE)]
    options = {"g": str(RATE), "keyint_min": str(RATE), "sc_threshold": "0", "preset": "veryfast"}
    clip = make_clip(
        folder / "face.mp4",
        ticks=range(len(images)),
        time_base=Fraction(1, RATE),
        images=images,
        options=options,
    )
    settings = BatchSettings(pictures=False, labels=True)
    (task,) = plan_tasks([str(clip)], folder=str(folder / "out"), settings=settings)
    made = [task] + [
        task.of_piece(Piece(number=second, start=float(second), end=second + 1.0))
        for second in range(12)
    ]
    for one in made:
        result = run_task(one)
        if result.status != "done":
            raise SystemExit(result.message)
    maps = [list(read_labels(one.places["labels"])) for one in made]
    pieces = [labels for piece in maps[1:] for labels in piece]
    if len(pieces) != len(maps[0]):
        raise SystemExit(f"{len(pieces)} frames in pieces, {len(maps[0])} in the whole")
    shares = [float((a != b).mean()) for a, b in zip(maps[0], pieces, strict=True)]
    lines = ["| frames after the cut | mean % | most % |", "| --- | --- | --- |"]
    for after in (0, 1, 2, 5, 10, 29):
        percentages = [100 * shares[second * RATE + after] for second in range(1, 12)]
        lines.append(
            f"| {after} | {sum(percentages) / len(percentages):.2f} | {max(percentages):.2f} |"
        )
    return lines


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--files", type=int, default=6)
    parser.add_argument("--frames", type=int, default=90)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--costs", action="store_true")
    parser.add_argument("--cuts", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if given.cuts:
            sys.stdout.write("\n".join(cuts(folder)) + "\n")
            return
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
