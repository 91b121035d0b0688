"""Sinks for results. `open_sink` picks the right one from the output's name."""

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
    """Make the sink for an output's name, closed; `Sink.open` opens it.

    Args:
        output: a URL, a video file, `-` for a Matroska stream on standard output, or a folder or
            pattern (`out/%06d.png`) for pictures. More kinds can be added with
            `rtseg.sinks.registry.register_sink`.
        settings: how to encode video, and whether to replace existing files.
        stream: how to reconnect a network output that goes away; by default it is reconnected.
        threads: encoder threads; 0 lets the encoder choose.
        shared: whether the network runs on the same cores; see
            `rtseg.sinks.codecs.encoder_threads`.

    Raises:
        SettingError: no sink writes such outputs, or the name does not match the codec, quality or
            preset.
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
