"""`rtseg video`: segment a video, a stream or images into a video, images or masks."""

from __future__ import annotations

import functools
import sys
from typing import TYPE_CHECKING

import click

from rtseg.cli.companions import OF_THE_PAGE, OF_THE_VIDEO, refuse_without
from rtseg.cli.file_outputs import with_no_audio, with_soft_masks
from rtseg.cli.habits import default_output, is_meant_as_output, with_advice_for
from rtseg.cli.live_outputs import LiveOutputs, web_option
from rtseg.cli.options import with_effects, with_settings
from rtseg.cli.progress import set_up_logging
from rtseg.cli.running import attend
from rtseg.cli.values import Place
from rtseg.errors import SettingError
from rtseg.outputs import STANDARD_STREAM
from rtseg.settings import (
    EncodeSettings,
    FaceSettings,
    ModelSettings,
    ReadSettings,
    StreamSettings,
    ViewSettings,
    WebSettings,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtseg.batch.tasks import Kind
    from rtseg.sinks.labels.alpha import AlphaBits


@click.command(short_help="Segment a video into a video, images or masks.")
@click.argument("inputs", metavar="INPUT…", nargs=-1, type=Place())
@click.option("-i", "--input", "more_inputs", multiple=True, type=Place(), hidden=True)
@click.option(
    "-o",
    "--output",
    metavar="OUTPUT",
    type=Place(),
    help="The output: a video (.mp4, .mkv, .webm, .gif …), a folder (an existing one, or a name "
    "ending in /) for a video named like the input, a pattern (out/%06d.png) for pictures, "
    "- for standard output (Matroska), .m3u8 (HLS), or rtsp://, rtmp://, udp:// or tcp://, sent in "
    "real time.",
)
@click.option(
    "--labels",
    metavar="OUTPUT",
    type=Place(),
    help="Write label ids losslessly: a folder of 8-bit PNGs, .mkv (FFV1) or .npz.",
)
@click.option(
    "--json",
    "records",
    metavar="FILE",
    type=Place(),
    envvar="RTSEG_VIDEO_JSON",
    help="Write one line of JSON per frame: time, faces, pixels of each class.",
)
@click.option(
    "--coco",
    metavar="FILE",
    type=Place(),
    help="Write COCO annotations with run-length masks, one for each class of each face.",
)
@with_soft_masks
@with_settings(
    view=ViewSettings,
    read=ReadSettings,
    stream=StreamSettings,
    encode=EncodeSettings,
    model=ModelSettings,
    faces=FaceSettings,
    page=WebSettings,
)
@web_option
@with_effects
@with_no_audio
@click.option(
    "--overlap/--no-overlap",
    default=True,
    help="Decode, infer and encode concurrently, or one after the other.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="With several inputs, skip the finished ones and redo the unfinished ones.",
)
@with_advice_for(
    {
        "--show": "`rtseg camera INPUT -o OUTPUT` shows a window as well",
        "--display": "`rtseg camera INPUT -o OUTPUT` shows a window as well",
        "--save-txt": "--json FILE, --coco FILE and --labels OUTPUT write data",
        "--save": "-o OUTPUT is always written",
        "--source": "give the input without an option, or as -i INPUT",
        "--weights": "give --model FILE",
        "--conf": "give --min-score 0..1, the lowest score of a face that counts",
        "--imgsz": "the model determines its input size",
        "--half": "give --precision fp16",
    }
)
@click.option(
    "--frames",
    is_flag=True,
    help="Write the view as numbered pictures into the folder -o instead of a video.",
)
@click.option("-q", "--quiet", is_flag=True, help="Print errors only.")
@click.option("-v", "--verbose", is_flag=True, help="Print more.")
def command(
    inputs: tuple[str, ...],
    more_inputs: tuple[str, ...],
    output: str | None,
    labels: str | None,
    records: str | None,
    coco: str | None,
    alpha: tuple[str, ...] | None,
    alpha_bits: AlphaBits,
    view: ViewSettings,
    effects: tuple[str, ...],
    read: ReadSettings,
    stream: StreamSettings,
    encode: EncodeSettings,
    model: ModelSettings,
    faces: FaceSettings,
    page: WebSettings,
    web: str | None,
    overlap: bool,
    resume: bool,
    frames: bool,
    quiet: bool,
    verbose: bool,
) -> int:
    """Segment INPUT and write OUTPUT: every frame at its exact time, with the audio.

    INPUT is a file in any format that FFmpeg reads, a URL, - for standard input, a folder or quoted
    pattern of images ("shots/*.png"), which form one video, or a folder or pattern of videos. With
    several inputs, OUTPUT (and --labels, --json and --coco) is a folder, and a failing input does
    not stop the others. Without any output, in.mp4 becomes in.rtseg.mp4 in the current folder.

    \b
    rtseg video in.mp4 -o out.mp4
    rtseg video in.mp4 -o out.mp4 --effect lips=#b0122a --effect hair=#6a2c70
    rtseg video in.mp4 -o hair.mkv --alpha hair
    rtseg video in.mp4 -o out.mp4 --view blur --classes face
    rtseg video in.mp4 --labels masks.mkv --json masks.jsonl
    rtseg video a.mp4 b.mp4 c.mp4 -o folder/ --resume
    rtseg video in.mp4 --web 8000
    rtseg video in.mp4 -o rtmp://host/live/key
    """
    set_up_logging(verbose=verbose, quiet=quiet)
    named = [*inputs, *more_inputs]
    if not named:
        raise SettingError("no input; give a file, a URL, a folder or a pattern, or - (stdin)")
    if output is None and len(named) == 2 and is_meant_as_output(named[1]):
        named, output = named[:1], named[1]
    from rtseg.batch import expand_videos
    from rtseg.destination import video_destination

    sources, are_many = expand_videos(named)
    if len(sources) == 1 and not are_many and not any((output, labels, records, coco, web)):
        output = default_output(sources[0], encode)
        if not quiet:
            click.echo(f"no output given: writing {output}", err=True)
    refuse_without("--web", OF_THE_PAGE, given=web)
    refuse_without("--alpha", ("alpha_bits",), given=alpha)
    refuse_without("-o OUTPUT", OF_THE_VIDEO, given=output)
    if frames and output is None:
        raise SettingError("--frames: the pictures go to -o FOLDER; give that")
    if len(sources) > 1 or are_many or resume:
        if web is not None:
            raise SettingError("--web shows one input; give one, without --resume")
        folders: dict[Kind, str | None] = {
            "pictures": output,
            "labels": labels,
            "records": records,
            "coco": coco,
        }
        from rtseg.cli.several import segment_several

        return segment_several(
            sources,
            {kind: folder for kind, folder in folders.items() if folder is not None},
            resume=resume,
            quiet=quiet,
            numbered=frames,
            alpha=alpha,
            alpha_bits=alpha_bits,
            effects=effects,
            overlap=overlap,
            view=view,
            read=read,
            reconnect=stream,
            encode=encode,
            model=model,
            faces=faces,
        )
    if frames and output is not None:
        output = video_destination(output, source=sources[0], encode=encode, frames=True)
    return segment_video(
        source=sources[0],
        output=output,
        labels=labels,
        records=records,
        coco=coco,
        view=view,
        effects=effects,
        alpha=alpha,
        alpha_bits=alpha_bits,
        read=read,
        encode=encode,
        model=model,
        faces=faces,
        stream=stream,
        overlap=overlap,
        quiet=quiet,
        web=web,
        page=page,
    )


def segment_video(
    *,
    source: str,
    output: str | None,
    labels: str | None = None,
    records: str | None = None,
    coco: str | None = None,
    view: ViewSettings,
    effects: Sequence[str] = (),
    alpha: Sequence[str] | None = None,
    alpha_bits: AlphaBits = 8,
    read: ReadSettings,
    encode: EncodeSettings,
    model: ModelSettings,
    faces: FaceSettings,
    stream: StreamSettings | None = None,
    overlap: bool = True,
    quiet: bool = False,
    web: str | None = None,
    page: WebSettings | None = None,
) -> int:
    """Segment one input with progress and a summary; return the exit code.

    Args:
        web, page: address and settings of the live page; without another output, a file is played
            in real time.

    Raises:
        RtsegError: any error, after partial outputs have been saved.
    """
    from rtseg.controls import Controls
    from rtseg.process import open_run
    from rtseg.run_outputs import video_sink

    is_written = any(place is not None for place in (output, labels, records, coco))
    if not is_written and web is None:
        raise SettingError("no output; give -o OUTPUT, --labels OUTPUT, --json FILE or --coco FILE")
    if output == STANDARD_STREAM and sys.stdout.isatty():
        raise SettingError("-o -: standard output is a terminal; send it to a file or a program")
    live = LiveOutputs(web=web, page=page or WebSettings(), model=model, quiet=quiet)
    with open_run(
        source,
        output,
        labels=labels,
        records=records,
        coco=coco,
        alpha=alpha,
        alpha_bits=alpha_bits,
        more_sinks=live.makers,
        real_time=not is_written,
        view=view,
        effects=effects,
        model=model,
        faces=faces,
        read=read,
        reconnect=stream,
        encode=encode,
        overlap=overlap,
    ) as run:
        record = functools.partial(video_sink, encode=encode.for_view(view.view), model=model)
        controls = Controls(run, record=record)
        live.connect(controls)
        return attend(run, quiet=quiet, on_event=controls.handle)
