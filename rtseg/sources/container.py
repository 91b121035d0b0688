"""Open an input container, or explain in one line why it cannot be opened."""

from __future__ import annotations

import errno
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from rtseg.errors import LostError, SourceError
from rtseg.media.hardware import hardware_decoder
from rtseg.media.tags import lenient_tags
from rtseg.media.truncation import is_cut_short
from rtseg.media.urls import LIVE_SCHEMES, STANDARD_INPUT, local_path, scheme_of
from rtseg.sources.standard_input import StandardInput

if TYPE_CHECKING:
    from av.container.input import InputContainer

    from rtseg.settings import ReadSettings

_NOT_VIDEO_FORMATS = frozenset({"tty", "bin", "xbin", "adf", "idf"})
"""Demuxers that would render any text file as a video."""

_NESTING_FORMATS = frozenset(
    {"hls", "dash", "concat", "sdp", "sap", "webm_dash_manifest", "imf", "vobsub"}
)
"""Demuxers that open other files and hosts named in their input."""

_NEVER_FORMATS = frozenset({"vapoursynth", "avisynth", "lavfi"})
"""Demuxers that execute commands from their input."""

_NETWORK_ERRORS = frozenset(
    {errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EPIPE}
)

_RESUME = {
    # Resume from the byte where the connection broke, within the time limit of a read.
    "reconnect": "1",
    "reconnect_on_network_error": "1",
    "reconnect_delay_max": "2",
}


def open_container(
    location: str,
    *,
    name: str,
    settings: ReadSettings,
    resume: bool = False,
    silence_seconds: float | None = None,
) -> tuple[InputContainer, StandardInput | None]:
    """Open a path, a URL or standard input for reading.

    Returns the container and, for standard input, the object that reads it.

    Args:
        location: as given by the user.
        name: the input's name in messages.
        settings: the time limit of opening and of each read, and whether to read playlists.
        resume: whether a broken http download resumes where it stopped.
        silence_seconds: the time limit of each read, if shorter than in the settings.

    Raises:
        BackendError: decoding on a GPU was requested, and there is none.
        SourceError: it cannot be opened.
        LostError: nothing answers, or a live input is not sending yet.
    """
    import av

    unreadable = (EOFError, av.error.InvalidDataError)
    av.logging.set_level(None)
    path = local_path(location)
    if path is not None:
        _check_file(path, name)
    pipe: StandardInput | None = None
    if location == STANDARD_INPUT:
        pipe = StandardInput(sys.stdin.buffer, name=name, timeout=settings.timeout)
        pipe.prepare()
    file = pipe or (f"file:{path}" if path is not None else location)
    scheme = scheme_of(location)
    begun = time.monotonic()
    nests = settings.allow_nested_urls
    options = {"format_whitelist": ",".join(_readable_formats(nests=nests))}
    if path is None:
        # Otherwise a stall at the end of a file would keep its beginning from being read.
        options["skip_estimate_duration_from_pts"] = "1"
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"
    if resume and scheme in ("http", "https"):
        options.update(_RESUME)
    try:
        container = av.open(
            file,
            "r",
            container_options=options,
            timeout=(settings.timeout, silence_seconds or settings.timeout),
            hwaccel=hardware_decoder(settings.hardware_decoding, name=name),
            **lenient_tags(),
        )
    except (av.error.FFmpegError, OSError, ValueError) as error:
        # A live input that hangs up or sends garbage may not be ready yet.
        is_early = scheme in LIVE_SCHEMES and isinstance(error, unreadable)
        if is_early and time.monotonic() - begun >= settings.timeout:
            error = av.error.ExitError(-1, "timeout")  # RTSP reports it as invalid data
        kind = LostError if is_early or may_return(error) else SourceError
        raise kind(_explain(error, location, name=name, settings=settings)) from None
    if container.format.name in _NOT_VIDEO_FORMATS:
        container.close()
        raise SourceError(f"{name}: is text, not a video; give a video file")
    return container, pipe


def _readable_formats(*, nests: bool) -> list[str]:
    """FFmpeg's demuxers, without those that an untrusted file must not reach."""
    import av

    refused = _NEVER_FORMATS if nests else _NEVER_FORMATS | _NESTING_FORMATS
    return sorted(av.formats_available - refused)


def may_return(error: BaseException) -> bool:
    """Whether an error is a network error that may pass: silence, refusal, a lost connection."""
    import av

    if isinstance(error, (av.error.ExitError, ConnectionError, TimeoutError)):
        return True
    if isinstance(error, av.error.HTTPServerError):
        return True
    return getattr(error, "errno", None) in _NETWORK_ERRORS


def reason(error: BaseException) -> str:
    """FFmpeg's description of an error, without the address that it appends."""
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()


def _check_file(path: Path, name: str) -> None:
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        raise SourceError(f"{path}: no such file; check the path") from None
    except (OSError, ValueError) as error:
        raise SourceError(f"{path}: cannot be read: {reason(error)}") from None
    if stat.S_ISDIR(mode):
        raise SourceError(f"{path}: is a folder; give a video file in it")
    if stat.S_ISREG(mode) and path.stat().st_size == 0:
        raise SourceError(f"{name}: is empty (0 bytes); give a video file")


def _explain(error: Exception, location: str, *, name: str, settings: ReadSettings) -> str:
    import av

    timeout = settings.timeout
    if getattr(error, "errno", None) == errno.EINVAL and not settings.allow_nested_urls:
        return (
            f"{name}: cannot be opened: it is a playlist (HLS, DASH, SDP …), which names other "
            "files and hosts to read; `allow_nested_urls` permits it, where you trust it"
        )

    if isinstance(error, av.error.ExitError):
        return f"{name}: did not answer within {timeout:g} s; check the address, or raise `timeout`"
    if isinstance(error, av.error.ProtocolNotFoundError):
        return (
            f"{name}: the protocol {scheme_of(location)!r} is unknown; allowed: file, http, "
            "https, rtsp, rtmp, udp, tcp …"
        )
    if isinstance(error, PermissionError):
        return f"{name}: may not be read (permission denied); check its permissions"
    if isinstance(error, EOFError) and scheme_of(location) in LIVE_SCHEMES:
        return f"{name}: hung up before the first picture; check that it is sending"
    if isinstance(error, EOFError):
        return f"{name}: is truncated before the first picture; get the complete video"
    if not isinstance(error, av.error.InvalidDataError):
        return f"{name}: cannot be opened: {reason(error)}"
    path = local_path(location)
    if path is not None:
        if is_cut_short(path) or _lacks_index(path):
            return (
                f"{name}: was cut off before its index was written (no moov), so that no frame "
                "can be read; get the complete file"
            )
        return f"{name}: is not a video that FFmpeg can read; found {_looks_like(path)}"
    return f"{name}: sent nothing that FFmpeg can read as a video"


def _lacks_index(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(8)[4:] == b"ftyp"


def _looks_like(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(1024)
    try:
        head.decode()
    except UnicodeDecodeError:
        return f"{path.stat().st_size} bytes of unknown data"
    return "text"
