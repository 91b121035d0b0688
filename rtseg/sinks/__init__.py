"""Where results go: `open_sink` finds the right kind by the output's name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rtseg.sinks.base import Sink as Sink

if TYPE_CHECKING:
    from rtseg.settings import EncodeSettings, StreamSettings
    from rtseg.sinks.registry import register_sink as register_sink


def open_sink(
    output: str,
    *,
    settings: EncodeSettings | None = None,
    stream: StreamSettings | None = None,
    threads: int = 0,
    shared: bool = False,
) -> Sink:
    """The sink that an output's name asks for. It is opened by `Sink.open`.

    Args:
        output: a URL by its scheme, a video file by its suffix, `-` for a Matroska stream on
            standard output, else a folder or a pattern (`out/%06d.png`) for pictures. What else
            there is was registered: see `rtseg.sinks.registry.register_sink`.
        settings: how a video is encoded, and whether what exists may be replaced.
        stream: what is done about a network output that goes away; it is opened again if not given.
        threads: for encoding; 0 lets the encoder choose.
        shared: the network runs on the same cores, see `rtseg.sinks.codecs.encoder_threads`.

    Raises:
        SettingError: nothing writes such outputs, or the name does not go with the codec, quality
            or preset.
    """
    from rtseg.settings import EncodeSettings, StreamSettings
    from rtseg.sinks.registry import SinkOptions, find_factory

    options = SinkOptions(
        encode=settings or EncodeSettings(),
        stream=stream or StreamSettings(),
        threads=threads,
        shared=shared,
    )
    return find_factory(output)(output, options)


def __getattr__(name: str) -> object:
    if name == "register_sink":
        from rtseg.sinks.registry import register_sink

        return register_sink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
