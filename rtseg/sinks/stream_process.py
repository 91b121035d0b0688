"""A network output's child process: connects, and sends what the parent encoded.

PyAV holds the interpreter's lock while it connects and writes a stream's header, so a server that
accepts a connection and stays silent blocks every thread of the process. This process can be
killed.

    python -m rtseg.sinks.stream_process      (standard input identifies the parent's socket)

The parent sends messages of four bytes of length, one byte of kind and the content. The child
answers with lines of JSON.
"""

from __future__ import annotations

import base64
import io
import json
import os
import signal
import socket
import stat
import struct
import sys
import traceback
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Literal

HEADER = struct.Struct("!IB")
PACKET = struct.Struct("!BBqqq")

PLAN, SEND, END = range(3)
"""The kinds of message: a plan, a packet, the end."""

_SEND_BUFFER_BYTES = 128 << 10
_MOST_DESCRIPTORS = 256

State = Literal["connected", "ended", "failed", "bug"]


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report from the child.

    Attributes:
        state: `connected`: the header was written, and packets may follow; `ended`: everything was
            sent and the output is closed; `failed`: it cannot continue; `bug`: it failed
            unexpectedly.
        reason: the reason for `failed`, or the traceback for `bug`.
        may_return: whether trying again may help.
        number: the system's error number, or 0.
    """

    state: State
    reason: str = ""
    may_return: bool = True
    number: int = 0


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the child is to open.

    Attributes:
        url: the destination.
        muxer, options: FFmpeg's muxer and its options.
        template: a tiny Matroska file with streams like those to be sent.
        parameter_sets: the video's parameter sets in Annex B.
        time_bases: numerator and denominator of each stream's packet times.
    """

    url: str
    muxer: str
    options: dict[str, str]
    template: bytes
    parameter_sets: bytes
    time_bases: tuple[tuple[int, int], ...]

    def to_bytes(self) -> bytes:
        """Serialise it for the child."""
        fields = {
            "url": self.url,
            "muxer": self.muxer,
            "options": self.options,
            "template": base64.b64encode(self.template).decode(),
            "parameter_sets": base64.b64encode(self.parameter_sets).decode(),
            "time_bases": self.time_bases,
        }
        return json.dumps(fields).encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Plan:
        """Parse what the parent sent."""
        fields = json.loads(data)
        for name in ("template", "parameter_sets"):
            fields[name] = base64.b64decode(fields[name])
        fields["time_bases"] = tuple((int(a), int(b)) for a, b in fields["time_bases"])
        return cls(**fields)


def message(kind: int, content: bytes = b"") -> bytes:
    """Frame a message for sending."""
    return HEADER.pack(len(content), kind) + content


class _Parent:
    """The child's end of the socket to its parent."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self.descriptor = link.fileno()

    def receive(self) -> tuple[int, bytes]:
        """Receive the next message; the end message if the parent is gone."""
        header = self._exactly(HEADER.size)
        if header is None:
            return END, b""
        length, kind = HEADER.unpack(header)
        content = self._exactly(length)
        return (END, b"") if content is None else (kind, content)

    def tell(self, report: Report) -> None:
        """Send a report, unless the parent is gone."""
        try:
            self._link.sendall(json.dumps(report.__dict__).encode() + b"\n")
        except OSError:
            return

    def _exactly(self, count: int) -> bytes | None:
        data = bytearray()
        while len(data) < count:
            try:
                part = self._link.recv(min(1 << 20, count - len(data)))
            except OSError:
                return None
            if not part:
                return None
            data += part
        return bytes(data)


def _open(plan: Plan) -> tuple[Any, list[Any]]:
    """Open the output with its streams and write its header. This may block for ever."""
    import av

    with av.open(io.BytesIO(plan.template)) as template:
        output = av.open(plan.url, "w", format=plan.muxer, container_options=plan.options)
        streams: list[Any] = [
            output.add_stream_from_template(stream, opaque=True) for stream in template.streams
        ]
    # Matroska stores parameter sets in another format than the packets use.
    streams[0].codec_context.extradata = plan.parameter_sets
    for stream, time_base in zip(streams, plan.time_bases, strict=True):
        stream.time_base = Fraction(*time_base)
    output.start_encoding()
    return output, streams


def _bound_buffers(parent: _Parent) -> None:
    """Keep the system from buffering seconds of a stream for a server that does not read.

    FFmpeg has such an option for some protocols only, so this finds FFmpeg's sockets itself.
    """
    if os.name != "posix":
        return
    for descriptor in range(3, _MOST_DESCRIPTORS):
        try:
            if descriptor == parent.descriptor or not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                continue
            with socket.socket(fileno=os.dup(descriptor)) as connection:
                if connection.type == socket.SOCK_STREAM:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER_BYTES)
        except OSError:
            continue  # not an open socket


def _send_packets(parent: _Parent, plan: Plan, output: Any, streams: list[Any]) -> None:
    """Send packets until the end message."""
    import av

    while True:
        kind, content = parent.receive()
        if kind == END:
            return
        number, is_key, pts, dts, duration = PACKET.unpack_from(content)
        packet = av.Packet(content[PACKET.size :])
        packet.time_base = Fraction(*plan.time_bases[number])
        packet.pts, packet.dts, packet.duration = pts, dts, duration
        packet.is_keyframe = bool(is_key)
        packet.stream = streams[number]
        output.mux(packet)


def _serve(parent: _Parent) -> Report:
    import av

    av.logging.set_level(None)
    kind, content = parent.receive()
    if kind != PLAN:
        return Report(state="ended")
    plan = Plan.from_bytes(content)
    try:
        output, streams = _open(plan)
        _bound_buffers(parent)
        parent.tell(Report(state="connected"))
        with output:
            _send_packets(parent, plan, output, streams)
    except (av.error.FFmpegError, OSError, ValueError) as error:
        return _failure(error)
    return Report(state="ended")


def _failure(error: Exception) -> Report:
    """Turn an exception into a report that says whether it may pass."""
    import av

    words = str(getattr(error, "strerror", None) or error).lower()
    lasting = (
        av.error.HTTPClientError,
        av.error.InvalidDataError,
        av.error.ProtocolNotFoundError,
        av.error.MuxerNotFoundError,
        av.error.ArgumentError,
        PermissionError,
        ValueError,
    )
    number = getattr(error, "errno", None) or 0
    return Report(
        state="failed",
        reason=words,
        may_return=not isinstance(error, lasting),
        number=number if isinstance(error, OSError) else 0,
    )


def _exit_with_parent() -> None:
    """On Linux, have this process killed with its parent, even if it is stuck connecting."""
    if not sys.platform.startswith("linux"):
        return
    import ctypes

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)


def _inherited_socket() -> socket.socket:
    """The socket identified on standard input: a descriptor, or Windows' shared handle."""
    description = json.loads(sys.stdin.readline())
    if "descriptor" in description:
        return socket.socket(fileno=description["descriptor"])
    # exists on Windows only
    shared = base64.b64decode(description["shared"])
    return socket.fromshare(shared)  # type: ignore[attr-defined,no-any-return,unused-ignore]


def main() -> None:
    """Run the child process."""
    # A signal to the whole process group is for the parent, which then stops this process.
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    _exit_with_parent()
    parent = _Parent(_inherited_socket())
    try:
        report = _serve(parent)
    except Exception:  # noqa: BLE001  the parent raises it with this trace
        report = Report(state="bug", reason=traceback.format_exc())
    parent.tell(report)


if __name__ == "__main__":
    main()
