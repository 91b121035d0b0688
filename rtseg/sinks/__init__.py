"""Where results go: `open_sink` finds the right kind by the output's name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.errors import SettingError, listed
from rtseg.sinks.base import Sink as Sink
from rtseg.sinks.codecs import CONTAINERS, STANDARD_OUTPUT

if TYPE_CHECKING:
    from rtseg.settings import EncodeSettings


def open_sink(
    output: str,
    *,
    settings: EncodeSettings | None = None,
    threads: int = 0,
    shared: bool = False,
) -> Sink:
    """The sink that an output's name asks for. It is opened by `Sink.open`.

    Args:
        output: a video file by its suffix, `-` for a Matroska stream on standard output, else a
            folder or a pattern (`out/%06d.png`) for pictures.
        settings: how a video is encoded, and whether what exists may be replaced.
        threads: for encoding; 0 lets the encoder choose.
        shared: the network runs on the same cores, see `rtseg.sinks.codecs.encoder_threads`.

    Raises:
        SettingError: the suffix is unknown, or does not go with the codec, quality or preset.
    """
    from rtseg.settings import EncodeSettings

    settings = settings or EncodeSettings()
    path = Path(output)
    if output == STANDARD_OUTPUT or (path.suffix.lower() in CONTAINERS and not path.is_dir()):
        from rtseg.sinks.video import VideoSink

        return VideoSink(output, settings=settings, threads=threads, shared=shared)
    is_folder = not path.suffix or output.endswith(("/", "\\")) or path.is_dir()
    if is_folder or "%" in path.name:
        from rtseg.sinks.images import ImagesSink

        return ImagesSink(output, settings=settings)
    raise SettingError(
        f"{output}: {path.suffix} cannot be written; allowed: {listed(CONTAINERS)}, "
        "- for standard output, a folder, or a pattern (out/%06d.png)"
    )
