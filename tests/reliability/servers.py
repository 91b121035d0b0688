"""Loopback servers that misbehave, each in its own way."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Client:
    """One connection: its number, its request, and a socket for the answer."""

    number: int
    socket: socket.socket
    over: threading.Event
    request: bytes = b""

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def hold(self) -> None:
        """Stay silent until the test is over."""
        self.over.wait(60)

    def trickle(self, data: bytes, *, step: int, seconds: float) -> None:
        for start in range(0, len(data), step):
            self.send(data[start : start + step])
            if self.over.wait(seconds):
                return

    @property
    def range_start(self) -> int:
        """The first byte that an HTTP client requested."""
        _, separator, rest = self.request.lower().partition(b"range: bytes=")
        return int(rest.partition(b"-")[0]) if separator else 0

    def http(self, length: int | None = None, *, start: int = 0, total: int = 0) -> None:
        """Send an HTTP header; `length` bytes follow, or an unknown number."""
        lines = ["HTTP/1.1 206 Partial Content" if start else "HTTP/1.1 200 OK"]
        lines += ["Content-Type: application/octet-stream", "Accept-Ranges: bytes"]
        if length is not None:
            lines.append(f"Content-Length: {length}")
        if start:
            lines.append(f"Content-Range: bytes {start}-{total - 1}/{total}")
        self.send(("\r\n".join([*lines, "Connection: close", "", ""])).encode())


@dataclass
class Server:
    port: int
    clients: list[Client] = field(default_factory=list)

    def url(self, path: str = "", scheme: str = "http") -> str:
        return f"{scheme}://127.0.0.1:{self.port}{path}"


@contextmanager
def serving(answer: Callable[[Client], None], *, http: bool = True) -> Iterator[Server]:
    """Answer each connection on its own thread; the socket closes when `answer` returns."""
    over = threading.Event()
    threads: list[threading.Thread] = []
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(0.1)
        server = Server(port=int(listening.getsockname()[1]))

        def talk(client: Client) -> None:
            with client.socket:
                try:
                    while http and b"\r\n\r\n" not in client.request:
                        data = client.socket.recv(4096)
                        if not data:
                            return
                        client.request += data
                    answer(client)
                except OSError:
                    return

        def accept() -> None:
            while not over.is_set():
                try:
                    connection, _ = listening.accept()
                except TimeoutError:
                    continue
                except OSError:
                    return
                connection.settimeout(20)
                client = Client(len(server.clients), connection, over)
                server.clients.append(client)
                threads.append(threading.Thread(target=talk, args=(client,)))
                threads[-1].start()

        threads.append(threading.Thread(target=accept))
        threads[0].start()
        try:
            yield server
        finally:
            over.set()
            for thread in threads:
                thread.join(30)
                assert not thread.is_alive()
