"""Malicious inputs: they reach no other file or host, and use hardly any memory."""

from __future__ import annotations

import io
import pickle
import resource
import struct
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

from rtseg.errors import SourceError
from rtseg.frames import Frame
from rtseg.settings import ReadSettings
from rtseg.sources import open_source
from tests.cli.conftest import Run
from tests.cli.conftest import run as run
from tests.reliability.servers import Client, serving
from tests.support.clips import MakeClip, read_frames

PLAYLISTS = {
    "m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile '{target}'\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=video 9 RTP/AVP 96\na=rtpmap:96 H264/90000\n",
    "mpd": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1">'
    "<BaseURL>{target}</BaseURL></Representation></AdaptationSet></Period></MPD>",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("disguised", [False, True])
def test_a_playlist_reaches_nothing(
    make_clip: MakeClip, tmp_path: Path, kind: str, disguised: bool
) -> None:
    """Neither a local file nor another host is contacted, whatever the playlist's name."""
    make_clip("secret.ts", ticks=range(5))
    with serving(lambda client: client.http(0)) as host:
        for target in (str(tmp_path / "secret.ts"), host.url("/secret.ts")):
            path = tmp_path / f"list.{'mp4' if disguised else kind}"
            path.write_text(PLAYLISTS[kind].format(target=target))
            with pytest.raises(SourceError) as error:
                open_source(path, settings=ReadSettings(timeout=2))
            assert "\n" not in str(error.value)
        assert host.clients == []


@pytest.mark.parametrize(
    ("kind", "says"),
    [
        ("m3u8", r"playlist .* `allow_nested_urls` permits it"),
        ("mpd", r"list\.mpd: "),  # not every FFmpeg supports DASH
    ],
)
def test_a_playlist_from_a_server_reaches_nothing(kind: str, says: str) -> None:
    with serving(lambda client: client.http(0)) as other:
        body = PLAYLISTS[kind].format(target=other.url("/x.ts")).encode()

        def answer(client: Client) -> None:
            client.http(len(body))
            client.send(body)

        with (
            serving(answer) as server,
            pytest.raises(SourceError, match=says),
        ):
            open_source(server.url(f"/list.{kind}"), settings=ReadSettings(timeout=2))
        assert other.clients == []


def test_a_trusted_playlist_is_read_if_permitted(make_clip: MakeClip, tmp_path: Path) -> None:
    make_clip("part.ts", ticks=range(5))
    path = tmp_path / "list.m3u8"
    path.write_text(PLAYLISTS["m3u8"].format(target="part.ts"))
    assert len(read_frames(path, settings=ReadSettings(allow_nested_urls=True))) == 5


def test_a_permitted_playlist_still_may_not_mix_the_web_and_the_disk(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    secret = make_clip("secret.ts", ticks=range(5))
    body = PLAYLISTS["m3u8"].format(target=f"file://{secret}").encode()

    def answer(client: Client) -> None:
        client.http(len(body))
        client.send(body)

    settings = ReadSettings(timeout=2, allow_nested_urls=True)
    with serving(answer) as server, pytest.raises(SourceError):
        open_source(server.url("/list.m3u8"), settings=settings)


def giant_png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", 65535, 65535, 8, 2, 0, 0, 0)
    body = zlib.compress(bytes(10**6))
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )


GIANTS = {
    "giant.png": giant_png(),
    "giant.gif": b"GIF89a\xff\xff\xff\xff\xf0\0\0\0\0\0\xff\xff\xff"
    + b",\0\0\0\0\xff\xff\xff\xff\0\x02\x02D\x01\0;",
    "giant.bmp": b"BM" + struct.pack("<IHHI", 10**6, 0, 0, 54)
    + struct.pack("<IiiHHIIiiII", 40, 65535, 65535, 1, 24, 0, 0, 0, 0, 0, 0),
    "giant.y4m": b"YUV4MPEG2 W65535 H65535 F25:1 Ip A1:1 C420\nFRAME\n" + bytes(1000),
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts otherwise elsewhere")
@pytest.mark.parametrize("name", GIANTS)
def test_four_gigapixels_take_no_memory(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(GIANTS[name])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(SourceError) as error, open_source(path) as source:
        assert not [item for item in source if isinstance(item, Frame)]
    assert "\n" not in str(error.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # KiB


@pytest.mark.parametrize("name", ["evil.safetensors", "evil.pt", "evil.pth", "evil.onnx"])
def test_a_model_containing_code_is_refused_and_not_run(
    run: Run, make_clip: MakeClip, tmp_path: Path, name: str
) -> None:
    """Both in PyTorch's current format (a zip with a pickle in it) and in its old one."""

    class Evil:
        def __reduce__(self) -> tuple[object, ...]:
            return (open, (str(tmp_path / "canary"), "w"))

    clip, path = make_clip(ticks=range(3)), tmp_path / name
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("evil/data.pkl", pickle.dumps(Evil()))
        archive.writestr("evil/version", "3")
    for content in (pickle.dumps(Evil()), packed.getvalue()):
        path.write_bytes(content)
        result = run("video", clip, "-o", tmp_path / "out.mp4", "--model", path)
        assert result.code == 6, result.err
        assert name in result.error
        assert sorted(tmp_path.iterdir()) == sorted([clip, path])
