"""Refused requests, and their cost: tokens, other sites, paths, floods."""

from __future__ import annotations

import gc
import http.client
import json
import socket
import ssl
import subprocess
import threading
import time
from pathlib import Path

import pytest

from rtseg.errors import SettingError
from rtseg.settings import WebSettings
from rtseg.sinks.web import WebAddress
from rtseg.sinks.web import server as server_module
from rtseg.sinks.web.sink import WebSink
from tests.sinks.drawn import info
from tests.support.pages import Page, serving_page

TOKEN = "correct-horse-battery"
PATHS = ("/", "/page.js", "/stats", "/snapshot.jpg", "/stream.mjpg")


def test_a_token_opens_every_path_in_three_ways() -> None:
    with serving_page(token=TOKEN) as page:
        for path in ("/page.js", "/stats", "/snapshot.jpg"):
            assert page.ask(path)[0] == 401
            assert page.ask(f"{path}?token={TOKEN}")[0] == 200
            assert page.ask(path, headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
        status, headers, _ = page.ask(f"/?token={TOKEN}")
        assert (status, headers["Location"]) == (303, "/"), "it leaves the address bar"
        cookie = headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Lax" in cookie
        assert TOKEN not in cookie
        cookie_header = {"Cookie": cookie.partition(";")[0]}
        for path in ("/", "/stats"):
            status, headers, body = page.ask(path, headers=cookie_header)
            assert status == 200
            assert headers["Cache-Control"] == "no-store"
            assert TOKEN.encode() not in body
        assert page.ask("/healthz")[0] == 200, "that it lives is no secret"


@pytest.mark.parametrize(
    "wrong", ["", "x", TOKEN[:-1], TOKEN + "x", TOKEN.upper(), "%00", "é", "a" * 5000]
)
def test_a_wrong_token_opens_nothing(wrong: str) -> None:
    from urllib.parse import quote

    with serving_page(token=TOKEN) as page:
        for path in PATHS:
            status, headers, body = page.ask(f"{path}?token={quote(wrong)}")
            assert status == 401
            assert "Set-Cookie" not in headers
            assert TOKEN.encode() not in body
        header = {"Authorization": f"Bearer {quote(wrong)}"}
        assert page.ask("/stats", headers=header)[0] == 401
        assert page.ask("/stats", headers={"Cookie": f"rtseg-{page.port}={quote(wrong)}"})[0] == 401
        body = {"key": "record"}
        assert page.ask("/control", method="POST", body=body, headers=header)[0] == 401
        assert page.events == []
        assert not page.sink.is_wanted


def test_a_token_is_generated_for_other_machines_and_a_short_one_refused() -> None:
    with serving_page(address=WebAddress(host="0.0.0.0", port=0)) as page:
        token = page.sink.url.partition("?token=")[2]
        assert len(token) >= 20
        assert page.sink.url.startswith("http://127.0.0.1:")
        assert page.ask("/stats")[0] == 401
        assert page.ask(f"/stats?token={token}")[0] == 200
        assert token not in page.sink.describe()
    with serving_page() as page:
        assert "token" not in page.sink.url
    with pytest.raises(SettingError, match="`token`: has 5 characters; allowed: 12 or more"):
        WebSettings(token="12345")


def test_another_site_in_the_same_browser_is_refused() -> None:
    control = {"key": "record"}
    with serving_page() as page:
        page_origin = f"http://127.0.0.1:{page.port}"
        for headers in (
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Origin": f"http://127.0.0.1:{page.port + 1}"},
            {"Origin": f"https://127.0.0.1:{page.port}"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
        ):
            for path in PATHS:
                assert page.ask(path, headers=headers)[0] == 403, (headers, path)
            assert page.ask("/control", method="POST", body=control, headers=headers)[0] == 403
            offer = {"sdp": "v=0"}
            assert page.ask("/offer", method="POST", body=offer, headers=headers)[0] == 403
        assert page.events == []
        assert not page.sink.is_wanted
        headers = {"Origin": page_origin, "Sec-Fetch-Site": "same-origin"}
        assert page.ask("/control", method="POST", body=control, headers=headers)[0] == 200
        follow = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
        assert page.ask("/", headers=follow | {"Sec-Fetch-Dest": "document"})[0] == 200, "a link"
        assert page.ask("/", headers=follow | {"Sec-Fetch-Dest": "iframe"})[0] == 403


def test_a_form_on_another_site_cannot_send_requests() -> None:
    """What browsers send to other sites without permission is never JSON."""
    with serving_page() as page:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data"):
            status, _, _ = page.ask(
                "/control", method="POST", body={"key": "record"}, headers={"Content-Type": kind}
            )
            assert status == 415
        assert page.events == []


def test_a_foreign_host_name_is_refused() -> None:
    """DNS rebinding: the browser believes that this is the other site."""
    with serving_page() as page:
        for host in ("evil.example", f"evil.example:{page.port}", "127.0.0.1.evil.example", ""):
            assert page.ask("/snapshot.jpg", headers={"Host": host})[0] in (400, 403), host
        for host in ("localhost", f"LOCALHOST:{page.port}", "127.0.0.1", f"[::1]:{page.port}"):
            assert page.ask("/stats", headers={"Host": host})[0] == 200, host


@pytest.mark.parametrize(
    "path",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "//etc/passwd",
        "/page.js/../../../../etc/passwd",
        "/page.js%00.html",
        "/.git/config",
        "/rtseg/web/page.js",
        "/index.html",
        "/\\..\\..\\windows\\win.ini",
        "/file:///etc/passwd",
    ],
)
def test_a_path_is_never_a_file(path: str) -> None:
    with serving_page() as page:
        assert _raw(page, f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n") in (400, 404)
        assert _raw(page, f"PUT {path} HTTP/1.1\r\nHost: localhost\r\n\r\n") in (400, 404, 405, 415)


@pytest.mark.parametrize(
    "request_text",
    [
        "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + "a" * 100_000 + "\r\n\r\n",
        "GET /" + "a" * 100_000 + " HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "GARBAGE\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n"
        "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_malformed_requests_are_refused(request_text: str) -> None:
    with serving_page() as page:
        assert 400 <= _raw(page, request_text) < 500
        assert page.ask("/healthz")[0] == 200


def test_half_open_connections_are_closed_and_memory_does_not_grow(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "HALF_OPEN_SECONDS", 1.5)
    post = "POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    starts = (
        b"",
        b"GET /stats HTTP/1.1\r\nHost: loc",
        f"{post}Content-Length: 500\r\n\r\n{{".encode(),
    )
    with serving_page(max_viewers=2) as page:
        threads = threading.active_count()
        for start in starts:
            held = []
            for _ in range(200):
                connection = socket.create_connection(("127.0.0.1", page.port), timeout=5)
                connection.settimeout(5)
                held.append(connection)
                if start:
                    try:
                        connection.sendall(start)
                    except OSError:
                        continue
            closed = sum(_is_closed(connection) for connection in held)
            assert closed == 200, start
            for connection in held:
                connection.close()
            assert page.ask("/healthz")[0] == 200
        assert threading.active_count() <= threads + 2
        page.wait(lambda: page.ask("/snapshot.jpg")[0] == 200)


def test_a_hundred_megabytes_are_refused_unread() -> None:
    import tracemalloc

    with serving_page() as page:
        gc.collect()
        tracemalloc.start()
        try:
            head = (
                "POST /offer HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {100 << 20}\r\n\r\n"
            )
            assert _raw(page, head, flood=100 << 20) == 413
            chunked = head.partition("Content-Length")[0] + "Transfer-Encoding: chunked\r\n\r\n"
            assert _raw(page, chunked, flood=100 << 20, chunked=True) == 413
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 16 << 20
        assert page.ask("/healthz")[0] == 200


@pytest.mark.parametrize(
    "sdp",
    [
        "",
        "v=0",
        "nonsense",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=video 9 UDP/TLS/RTP/SAVPF\r\n",
        "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=x\r\n",
        "m=" * 5000,
        7,
        None,
        ["v=0"],
    ],
)
def test_a_bad_offer_is_refused_and_leaves_nothing(sdp: object) -> None:
    with serving_page() as page:
        status, _, body = page.ask("/offer", method="POST", body={"sdp": sdp})
        assert status == 400, body
        assert b"Traceback" not in body
        assert page.stats()["viewers"] == []


@pytest.mark.parametrize("body", [b"", b"[1]", b'"x"', b"{", b"\xff\xfe", b"[" * 60_000])
def test_a_body_that_is_no_json_object_is_refused(body: bytes) -> None:
    with serving_page() as page:
        for path in ("/offer", "/control"):
            head = (
                f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            assert _raw(page, head, body=body) == 400


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    cert, key = folder / "cert.pem", folder / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    try:
        subprocess.run(
            [*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True
        )
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("openssl is not installed")
    return cert, key


def test_https_works(certificate: tuple[Path, Path]) -> None:
    cert, key = certificate
    settings = {"ssl_cert": str(cert), "ssl_key": str(key), "token": TOKEN}
    with serving_page(**settings) as page:
        assert page.sink.url.startswith("https://127.0.0.1:")
        context = ssl.create_default_context(cafile=str(cert))
        connection = http.client.HTTPSConnection("localhost", page.port, context=context, timeout=9)
        connection.request("GET", f"/?token={TOKEN}")
        answer = connection.getresponse()
        assert answer.status == 303
        assert "Secure" in answer.headers["Set-Cookie"]
        answer.read()
        connection.request("GET", f"/stats?token={TOKEN}")
        assert json.loads(connection.getresponse().read())["source"] == "a drawn camera"
        connection.close()
        with pytest.raises((http.client.HTTPException, OSError)):
            page.ask("/healthz")  # plain http is not understood there


def test_an_unusable_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cert.pem").write_text("no certificate")
    with pytest.raises(SettingError, match=r"cannot be used: .*PEM files"):
        WebSink(
            WebAddress(host="127.0.0.1", port=0),
            settings=WebSettings(
                ssl_cert=str(tmp_path / "cert.pem"), ssl_key=str(tmp_path / "none.pem")
            ),
        )
    with pytest.raises(SettingError, match="belong together"):
        WebSettings(ssl_cert="cert.pem")


def test_the_token_is_in_no_message() -> None:
    sink = WebSink(WebAddress(host="127.0.0.1", port=0), settings=WebSettings(token=TOKEN))
    sink.open(info(), width=64, height=48)
    try:
        assert TOKEN not in sink.describe()
    finally:
        sink.close("finished")


def _raw(page: Page, head: str, *, body: bytes = b"", flood: int = 0, chunked: bool = False) -> int:
    """The status for a request that no client would send; 400 if the connection was closed."""
    with socket.create_connection(("127.0.0.1", page.port), timeout=10) as connection:
        connection.sendall(head.encode("latin-1") + body)
        sent, block = 0, b"x" * 65536
        if chunked:
            block = b"10000\r\n" + block + b"\r\n"
        connection.settimeout(5)
        try:
            while sent < flood:
                connection.sendall(block)
                sent += len(block)
        except OSError:
            pass  # refused before it was sent completely
        assert sent < max(flood, 1) or not flood, "all of it was taken"
        answer = b""
        try:
            while b"\r\n" not in answer and (part := connection.recv(4096)):
                answer += part
        except OSError:
            pass
    return int(answer.split()[1]) if answer.startswith(b"HTTP/") else (413 if flood else 400)


def _is_closed(connection: socket.socket) -> bool:
    """Whether the other side closes it within some seconds; an answer may arrive before."""
    end = time.monotonic() + 6
    try:
        while time.monotonic() < end:
            if not connection.recv(4096):
                return True
    except (ConnectionError, BrokenPipeError):
        return True
    except TimeoutError:
        return False
    return False
