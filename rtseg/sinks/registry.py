"""Find the sink for an output's name, by scheme (`rtmp://`) or suffix (`.mp4`).

Users can add both kinds, either by calling `register_sink` in their program or, for the command
line as well, with an installed package that has an entry point in the group `rtseg.sinks`. The
entry point is called without arguments and registers the package's sinks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

from rtseg.errors import SettingError, listed
from rtseg.media.urls import display_name, url_scheme
from rtseg.settings import EncodeSettings, StreamSettings
from rtseg.sinks.base import Sink
from rtseg.sinks.codecs import CONTAINERS, STANDARD_OUTPUT
from rtseg.sinks.image_sequence import IMAGE_SUFFIXES
from rtseg.sinks.protocols import HLS_SUFFIX, PROTOCOLS

ENTRY_POINTS = "rtseg.sinks"

_NOT_WRITTEN = {
    "file": "give the path itself, without file://",
    "srt": "PyAV's FFmpeg is built without SRT; send udp:// to a program that speaks it",
    "srtp": "encrypted RTP needs keys that no URL holds; rtsp:// is possible",
    "http": "a page for browsers is `web`",
    "https": "a page for browsers is `web`, with `ssl_cert`",
    "whip": "a page that sends WebRTC is `web`",
}
"""Advice for unsupported schemes that people try."""


@dataclass(frozen=True, kw_only=True)
class SinkOptions:
    """Options for sinks; each sink uses those that apply to it.

    Attributes:
        encode: how to encode video, and whether to replace existing files.
        stream: how to reconnect a network output that goes away.
        threads: encoder threads; 0 lets the encoder choose.
        shared: whether the network runs on the same cores; see
            `rtseg.sinks.codecs.encoder_threads`.
    """

    encode: EncodeSettings = field(default_factory=EncodeSettings)
    stream: StreamSettings = field(default_factory=StreamSettings)
    threads: int = 0
    shared: bool = False


SinkFactory = Callable[[str, SinkOptions], Sink]
"""Makes a closed sink for an output's name. Raises SettingError for a bad name or option."""

_by_scheme: dict[str, SinkFactory] = {}
_by_suffix: dict[str, SinkFactory] = {}
_plugins_loaded = False


def register_sink(
    factory: SinkFactory, *, schemes: Iterable[str] = (), suffixes: Iterable[str] = ()
) -> None:
    """Make `open_sink` use `factory` for these outputs, replacing earlier registrations.

    Args:
        factory: called with the whole name (`mqtt://host/topic`, `out.gif`) and the options.
        schemes: without `://`, as in `mqtt`; two letters or more.
        suffixes: with their dot, as in `.gif`.

    Raises:
        SettingError: a scheme or suffix is malformed.
    """
    for scheme in schemes:
        if url_scheme(f"{scheme}://") != scheme.lower():
            raise SettingError(
                f"a sink's scheme is {scheme!r}; allowed: two or more letters, digits, +, - or ., "
                "the first a letter, without ://"
            )
        _by_scheme[scheme.lower()] = factory
    for suffix in suffixes:
        if Path(f"name{suffix}").suffix != suffix or not suffix:
            raise SettingError(f"a sink's suffix is {suffix!r}; allowed: one with its dot (.gif)")
        _by_suffix[suffix.lower()] = factory


def find_factory(output: str) -> SinkFactory:
    """Find the factory for an output's name.

    Raises:
        SettingError: no sink writes such outputs.
    """
    if output == STANDARD_OUTPUT:
        return _video
    scheme = url_scheme(output)
    if scheme is not None:
        return _of_scheme(output, scheme)
    path = Path(output)
    suffix = path.suffix.lower()
    if not suffix or output.endswith(("/", "\\")) or path.is_dir():
        return _images
    if "%" in path.name and suffix in IMAGE_SUFFIXES:
        return _images  # out/%06d.webp means pictures, out.webp an animation
    if suffix not in _by_suffix and "%" not in path.name:
        _load_plugins()
    if suffix in _by_suffix:
        return _by_suffix[suffix]
    if "%" in path.name:
        return _images
    raise SettingError(
        f"{output}: {suffix} cannot be written; allowed: {listed(_by_suffix)}, "
        f"- for standard output, a folder, a pattern (out/%06d.png), or a URL: {_schemes()}"
    )


def _of_scheme(output: str, scheme: str) -> SinkFactory:
    if scheme not in _by_scheme:
        _load_plugins()
    if not output.lower().startswith(f"{scheme}://"):
        raise SettingError(
            f"{output}: is neither a path nor a URL; a URL begins with {scheme}://, and a file "
            f"of this name is written as ./{output}"
        )
    if scheme in _by_scheme:
        return _by_scheme[scheme]
    advice = _NOT_WRITTEN.get(scheme)
    raise SettingError(
        f"{display_name(output)}: {scheme}:// cannot be written; allowed: {_schemes()}, a file or "
        f"a folder{'; ' + advice if advice else ''}"
    )


def _schemes() -> str:
    return listed(f"{scheme}://" for scheme in _by_scheme)


def _load_plugins() -> None:
    """Let installed packages register their sinks, once, when a name is unknown."""
    global _plugins_loaded
    if _plugins_loaded:
        return
    _plugins_loaded = True
    from importlib.metadata import entry_points

    for entry in entry_points(group=ENTRY_POINTS):
        entry.load()()


def _video(output: str, options: SinkOptions) -> Sink:
    from rtseg.sinks.video import VideoSink

    return VideoSink(
        output, settings=options.encode, threads=options.threads, shared=options.shared
    )


def _images(output: str, options: SinkOptions) -> Sink:
    from rtseg.sinks.images import ImagesSink

    return ImagesSink(output, settings=options.encode)


def _animation(output: str, options: SinkOptions) -> Sink:
    from rtseg.sinks.animation import AnimationSink

    return AnimationSink(output, settings=options.encode)


def _stream(output: str, options: SinkOptions) -> Sink:
    from rtseg.sinks.stream import StreamSink

    return StreamSink(output, options)


register_sink(_video, suffixes=CONTAINERS)
register_sink(_animation, suffixes=(".gif", ".webp"))
register_sink(_stream, schemes=PROTOCOLS, suffixes=(HLS_SUFFIX,))
