"""One connection of a network output: its child process, and a socket to it that never blocks."""

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
    """A child process that connects and sends. Used on one thread; no call waits unless it says so.

    Args:
        plan: what the child opens.

    Attributes:
        is_connected: whether the child said that it is.
        over: what the child said last, once it is over; a report of its own where it vanished.
        waiting_bytes: what the child has not taken yet.
    """

    def __init__(self, plan: Plan) -> None:
        self.is_connected = False
        self.over: Report | None = None
        self.waiting_bytes = 0
        self._waiting: deque[memoryview] = deque()
        self._heard = b""
        self._moved_at = time.monotonic()
        self._socket, theirs = socket.socketpair()
        try:
            self._child = _start(theirs)
        except BaseException:
            self._socket.close()
            raise
        finally:
            theirs.close()
        self._socket.settimeout(0)
        self._put(message(PLAN, plan.to_bytes()))

    def send(
        self, stream: int, data: bytes, *, is_key: bool, pts: int, dts: int, duration: int
    ) -> None:
        """Hand over one packet; times are in ticks of the stream's time base in the plan."""
        self._put(message(SEND, PACKET.pack(stream, is_key, pts, dts, duration) + data))

    def work(self) -> None:
        """Hand over what the child takes now, and hear what it says."""
        if self.over is not None:
            return
        self._flush()
        self._hear()
        if self.over is None and self._child.poll() is not None:
            self._hear()
            self.over = self.over or Report(
                state="failed", reason=f"its process ended ({self._child.returncode})"
            )

    @property
    def pid(self) -> int:
        """The child's."""
        return self._child.pid

    @property
    def stalled_seconds(self) -> float:
        """For how long the child has taken nothing of what waits for it; 0 where nothing waits."""
        return time.monotonic() - self._moved_at if self._waiting else 0.0

    def wait(self, seconds: float) -> None:
        """Work on until the child has said or taken something, or the time is up."""
        if self.over is None:
            writable = [self._socket] if self._waiting else []
            select.select([self._socket], writable, [], seconds)
            self.work()

    def finish(self, seconds: float) -> bool:
        """Have the child send what waits and close the output; False where it is too slow."""
        self._put(message(END))
        deadline = time.monotonic() + seconds
        while self.over is None and time.monotonic() < deadline:
            self.wait(_SLICE_SECONDS)
        return self.over is not None and self.over.state == "ended"

    def end(self) -> None:
        """Kill the child where it still runs. May be called twice."""
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
                return  # it has ended; what it said is heard, or its exit is seen
            self._moved_at = time.monotonic()
            self.waiting_bytes -= count
            if count == len(part):
                self._waiting.popleft()
            else:
                self._waiting[0] = part[count:]

    def _hear(self) -> None:
        while True:
            try:
                data = self._socket.recv(1 << 16)
            except OSError:  # nothing now; or gone, which its exit shows
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


def _start(theirs: socket.socket) -> subprocess.Popen[bytes]:
    """The child, which was told its socket."""
    command = [sys.executable, "-m", "rtseg.sinks.stream_process"]
    # It imports the very package that runs here, wherever that lies.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    if sys.platform == "win32":
        child = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env=environment
        )
        told = {"shared": base64.b64encode(theirs.share(child.pid)).decode()}
    else:
        descriptor = theirs.fileno()
        child = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # where the run's own output may go
            env=environment,
            pass_fds=[descriptor],
        )
        told = {"descriptor": descriptor}
    assert child.stdin is not None
    try:
        with child.stdin:
            child.stdin.write(json.dumps(told).encode() + b"\n")
    except OSError:
        pass  # it has ended at once; its exit is seen
    return child
