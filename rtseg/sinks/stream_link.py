"""A network output's child process, and the non-blocking socket that feeds it."""

from __future__ import annotations

import base64
import json
import os
import select
import socket
import subprocess
import sys
import time
from collections import deque

from rtseg.sinks.stream_process import END, PACKET, PLAN, SEND, Plan, Report, message

_SLICE_SECONDS = 0.05


class StreamLink:
    """A child process that connects and sends. Used on one thread; only `wait` and `finish` wait.

    Args:
        plan: what the child opens.

    Attributes:
        is_connected: whether the child has reported a connection.
        over: the child's last report once it has ended, made up if it ended without one.
        waiting_bytes: bytes that the child has not read yet.
    """

    def __init__(self, plan: Plan) -> None:
        self.is_connected = False
        self.over: Report | None = None
        self.waiting_bytes = 0
        self._waiting: deque[memoryview] = deque()
        self._heard = b""
        self._moved_at = time.monotonic()
        self._socket, child_socket = socket.socketpair()
        try:
            self._child = _start(child_socket)
        except BaseException:
            self._socket.close()
            raise
        finally:
            child_socket.close()
        self._socket.settimeout(0)
        self._put(message(PLAN, plan.to_bytes()))

    def send(
        self, stream: int, data: bytes, *, is_key: bool, pts: int, dts: int, duration: int
    ) -> None:
        """Queue one packet; times are in ticks of the stream's time base in the plan."""
        self._put(message(SEND, PACKET.pack(stream, is_key, pts, dts, duration) + data))

    def work(self) -> None:
        """Send as much as the child accepts now, and read its reports."""
        if self.over is not None:
            return
        self._flush()
        self._read_reports()
        if self.over is None and self._child.poll() is not None:
            self._read_reports()
            self.over = self.over or Report(
                state="failed", reason=f"its process exited (exit code {self._child.returncode})"
            )

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._child.pid

    @property
    def stalled_seconds(self) -> float:
        """Seconds for which the child has read nothing although bytes are queued; else 0."""
        return time.monotonic() - self._moved_at if self._waiting else 0.0

    def wait(self, seconds: float) -> None:
        """Work until the child has reported or read something, or time is up."""
        if self.over is None:
            writable = [self._socket] if self._waiting else []
            select.select([self._socket], writable, [], seconds)
            self.work()

    def finish(self, seconds: float) -> bool:
        """Make the child send what is queued and close the output; False if it is too slow."""
        self._put(message(END))
        deadline = time.monotonic() + seconds
        while self.over is None and time.monotonic() < deadline:
            self.wait(_SLICE_SECONDS)
        return self.over is not None and self.over.state == "ended"

    def end(self) -> None:
        """Kill the child if it is still running. May be called twice."""
        self._waiting.clear()
        self._socket.close()
        self.over = self.over or Report(state="failed", reason="it was ended")
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()

    def _put(self, data: bytes) -> None:
        if not self._waiting:
            self._moved_at = time.monotonic()
        self._waiting.append(memoryview(data))
        self.waiting_bytes += len(data)
        self._flush()

    def _flush(self) -> None:
        while self._waiting and self.over is None:
            part = self._waiting[0]
            try:
                count = self._socket.send(part)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                return  # it has ended: its last report is read, or its exit noticed
            self._moved_at = time.monotonic()
            self.waiting_bytes -= count
            if count == len(part):
                self._waiting.popleft()
            else:
                self._waiting[0] = part[count:]

    def _read_reports(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:  # nothing to read, or the child is gone, which its exit shows
                break
            if not data:
                break
            self._heard += data
        *lines, self._heard = self._heard.split(b"\n")
        for line in lines:
            report = Report(**json.loads(line))
            if report.state == "connected":
                self.is_connected = True
            else:
                self.over = report


def _start(child_socket: socket.socket) -> subprocess.Popen[bytes]:
    """Start the child and pass it its socket."""
    command = [sys.executable, "-m", "rtseg.sinks.stream_process"]
    # The child must import the same package, wherever it is installed.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if sys.platform == "win32":
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
        )
        description = {"shared": base64.b64encode(child_socket.share(child.pid)).decode()}
    else:
        descriptor = child_socket.fileno()
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # standard output may be the run's output
            env=environment,
            pass_fds=[descriptor],
        )
        description = {"descriptor": descriptor}
    assert child.stdin is not None
    try:
        with child.stdin:
            child.stdin.write(json.dumps(description).encode() + b"\n")
    except OSError:
        pass  # it ended at once, which its exit shows
    return child
