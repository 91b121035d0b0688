"""A served stream's outputs besides pictures: labels, JSON lines, annotations; and the network."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtseg.errors import SettingError
from rtseg.serving.stream_definition import PATIENT
from rtseg.serving.stream_outputs import unused_output
from rtseg.serving.stream_server import StreamDefinition, StreamServer
from rtseg.settings import ReadSettings
from rtseg.sinks.labels.images import read_labels
from tests.reliability.servers import Client, serving
from tests.reliability.test_rtsp import RtspServer
from tests.reliability.test_stream_output import RecordServer
from tests.reliability.test_stream_output import record_port as record_port
from tests.serving.served import frames_in, goes_on, one, wait
from tests.support.clips import make_clip
from tests.support.live_sources import Camera
from tests.support.receivers import free_port, receiving


def test_data_are_written_to_the_requested_files(server: StreamServer, tmp_path: Path) -> None:
    data = {
        "labels": str(tmp_path / "ids.npz"),
        "records": str(tmp_path / "new" / "lines.jsonl"),
        "coco": str(tmp_path / "coco.json"),
    }
    stream = server.start(one("door", Camera(), **data))
    goes_on(stream)
    wait(lambda: stream.state == "live")
    assert not Path(data["labels"]).exists(), "a file has its name once it is whole"
    server.close()
    lines = [json.loads(line) for line in Path(data["records"]).read_text().splitlines()]
    header, frames = lines[0], lines[1:]
    assert (header["schema"], header["source"]) == (1, "a drawn camera")
    maps = list(read_labels(data["labels"]))
    coco = json.loads(Path(data["coco"]).read_text())
    assert len(maps) == len(frames) == len(coco["images"]) == stream.statistics.frames > 3
    names = header["labels"]
    for labels, line in zip(maps, frames, strict=True):
        ids, counts = np.unique(labels, return_counts=True)
        pixels = {names[i]: int(n) for i, n in zip(ids, counts, strict=True)}
        assert pixels == line["pixels"]
        assert len(line["faces"]) == 1
    assert {a["image_id"] for a in coco["annotations"]} == {i["id"] for i in coco["images"]}
    assert not list(tmp_path.rglob("*.part*"))


@pytest.mark.parametrize("suffix", [".mkv", "/"])
def test_labels_are_written_as_videos_and_pictures(
    server: StreamServer, tmp_path: Path, suffix: str
) -> None:
    stream = server.start(one("door", Camera(), labels=f"{tmp_path}/ids{suffix}"))
    goes_on(stream)
    server.close()
    maps = list(read_labels(str(tmp_path / f"ids{suffix}")))
    assert len(maps) == stream.statistics.frames
    assert all(len(np.unique(labels)) > 5 for labels in maps)


def test_data_beside_recordings_are_named_after_the_stream(
    server: StreamServer, tmp_path: Path
) -> None:
    folder = f"{tmp_path}/rec/"
    data = {"labels": folder, "records": folder, "coco": folder}
    stream = server.start(one("door", Camera(), folder, **data))
    (tmp_path / "rec").mkdir(exist_ok=True)
    goes_on(stream)
    server.close()
    names = sorted(path.name for path in (tmp_path / "rec").iterdir())
    assert names == ["door.json", "door.jsonl", "door.labels.mkv", "door.mkv"]


def test_earlier_files_are_kept(server: StreamServer, tmp_path: Path) -> None:
    data = {"labels": f"{tmp_path}/ids/", "records": f"{tmp_path}/a.jsonl"}
    for _ in range(2):
        stream = server.start(one("door", Camera(), f"{tmp_path}/shots/%04d.png", **data))
        goes_on(stream)
        server.stop("door")
        assert stream.join(10)
        assert not [output.error for output in stream.outputs if output.error]
    assert {p.name for p in tmp_path.iterdir()} == {"ids", "ids-2", "a.jsonl", "a-2.jsonl", "shots"}
    assert len(list(read_labels(str(tmp_path / "ids-2")))) == stream.statistics.frames
    assert len(list((tmp_path / "shots").glob("2-*.png"))) == stream.statistics.frames
    assert (tmp_path / "shots" / "0000.png").exists()


def test_a_failing_data_output_affects_no_other(server: StreamServer, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    camera = Camera()
    stream = server.start(
        one("door", camera, f"{tmp_path}/a.mkv", records=str(tmp_path / "file" / "a.jsonl"))
    )
    goes_on(stream)
    broken = [output for output in stream.outputs if output.error]
    assert [output.name for output in broken] == [str(tmp_path / "file" / "a.jsonl")]
    server.close()
    assert frames_in(tmp_path / "a.mkv") == stream.statistics.frames


def test_later_outputs_are_numbered(tmp_path: Path) -> None:
    assert unused_output(f"{tmp_path}/masks/") == f"{tmp_path}/masks/"
    (tmp_path / "masks").mkdir()
    assert unused_output(f"{tmp_path}/masks/") == f"{tmp_path}/masks/", "it is empty"
    pattern = f"{tmp_path}/masks/%06d.png"
    assert unused_output(pattern) == pattern
    (tmp_path / "masks" / "000017.png").touch()
    assert unused_output(f"{tmp_path}/masks/") == f"{tmp_path}/masks-2"
    assert unused_output(pattern) == f"{tmp_path}/masks/2-%06d.png"
    (tmp_path / "masks" / "2-000000.png").touch()
    assert unused_output(pattern) == f"{tmp_path}/masks/3-%06d.png"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"labels": "ids.webm"}, ".webm cannot hold labels without loss"),
        ({"labels": "ids.png"}, "one file for many frames"),
        ({"records": "rtmp://host/live"}, "rtmp://host/live"),
        ({"coco": "s3://bucket/a.json"}, "s3://bucket/a.json"),
    ],
)
def test_unsupported_data_outputs_are_refused(data: dict[str, str], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        StreamDefinition(name="door", source="0", **data)  # type: ignore[arg-type]
    assert words in str(refused.value)


def test_a_stream_is_sent_by_rtmp_and_recorded(server: StreamServer, tmp_path: Path) -> None:
    url = f"rtmp://127.0.0.1:{free_port()}/live/door"
    with receiving(url) as received:
        stream = server.start(one("door", Camera(), url, f"{tmp_path}/door.mkv"))
        goes_on(stream)
        wait(lambda: len(received.times) > 10)
        server.stop("door")
        assert stream.join(20)
    assert received.streams == ["h264"]
    assert stream.state == "stopped"
    assert frames_in(tmp_path / "door.mkv") > 10


def test_a_lost_network_source_is_reconnected(server: StreamServer, tmp_path: Path) -> None:
    """MPEG-TS over TCP, whose sender closes the connection after a second."""
    data = make_clip(tmp_path / "clip.ts", ticks=range(100)).read_bytes()

    def answer(client: Client) -> None:
        client.trickle(data, step=len(data) // 50, seconds=0.02)

    with serving(answer, http=False) as sender:
        definition = one("net", sender.url(scheme="tcp"), f"{tmp_path}/net.mkv", reconnect=PATIENT)
        stream = server.start(definition)
        other = server.start(one("other", Camera()))
        goes_on(stream)
        wait(lambda: stream.statistics.reconnects > 0)
        goes_on(stream)
        assert (other.state, other.starts) == ("live", 1)
        server.close()
    assert frames_in(tmp_path / "net.mkv") > 5


def test_a_stream_is_received_and_sent_by_rtsp(
    server: StreamServer, record_port: int, tmp_path: Path
) -> None:
    """A real server at each end; the sender dies and is restarted."""
    sender, receiver = RtspServer(), RecordServer(record_port)
    try:
        definition = one(
            "yard",
            sender.url,
            f"rtsp://127.0.0.1:{record_port}/live",
            f"{tmp_path}/yard.mkv",
            read=ReadSettings(timeout=2.0),
            reconnect=PATIENT,
        )
        stream = server.start(definition)
        wait(lambda: receiver.count("video") > 10, seconds=60)
        sender.end()
        wait(lambda: stream.state == "reconnecting", seconds=60)
        sender.start()
        wait(lambda: stream.state == "live", seconds=60)
        before = receiver.count("video")
        wait(lambda: receiver.count("video") > before + 10, seconds=60)
        assert not [output.error for output in stream.outputs if output.error]
        server.close()
    finally:
        sender.end()
        receiver.end()
    assert frames_in(tmp_path / "yard.mkv") > 20
