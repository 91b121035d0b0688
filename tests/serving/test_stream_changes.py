"""Replacing, restarting and ending the streams of a running server."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import pytest

from rtseg.errors import SettingError
from rtseg.serving.stream_server import (
    ServerFullError,
    StreamDefinition,
    StreamServer,
)
from rtseg.settings import ViewSettings
from tests.serving.served import frames_in, goes_on, one, wait
from tests.support.live_sources import Camera, Kept


def test_replacing_changes_only_streams_that_differ(
    server: StreamServer, kept: dict[str, list[Kept]], tmp_path: Path
) -> None:
    cameras = {name: Camera() for name in "abcd"}
    first = {name: one(name, cameras[name], f"kept://{name}") for name in "abc"}
    server.replace(first.values())
    streams = {stream.name: stream for stream in server.started}
    for stream in streams.values():
        goes_on(stream)
    changed = dataclasses.replace(first["b"], view=ViewSettings(view="mask"))
    done = server.replace([first["a"], changed, one("d", cameras["d"], "kept://d")])
    assert done == {
        "kept": ["a"],
        "changed": ["b"],
        "added": ["d"],
        "removed": ["c"],
        "restarted": [],
    }
    now = {stream.name: stream for stream in server.started}
    assert list(now) == ["a", "b", "d"]
    assert now["a"] is streams["a"], "what is the same goes on"
    for stream in now.values():
        goes_on(stream)
    assert streams["c"].join(10)
    assert kept["c"][0].outcome == kept["b"][0].outcome == "finished"
    assert len(kept["a"]) == 1
    assert (kept["b"][1].pictures[-1][0, 0] == kept["b"][1].pictures[-1][0, -1]).all()
    assert cameras["a"].opened == 1


def test_a_stream_starts_only_after_its_predecessor_has_ended(
    server: StreamServer, kept: dict[str, list[Kept]]
) -> None:
    """A camera or a file cannot be opened twice."""
    camera = Camera()
    definition = one("a", camera, "kept://a")
    goes_on(server.start(definition))
    kept["a"][0].seconds = 0.5
    time.sleep(0.1)
    server.replace([dataclasses.replace(definition, view=ViewSettings(view="mask"))])
    wait(lambda: len(kept["a"]) == 2)
    assert kept["a"][0].outcome == "finished"


def test_an_ended_stream_is_restarted_by_a_reload(server: StreamServer) -> None:
    camera = Camera(frames=5)
    definition = one("a", camera)
    stream = server.start(definition)
    wait(lambda: stream.state == "ended")
    assert server.replace([definition])["restarted"] == ["a"]
    wait(lambda: camera.opened == 2)


def test_names_and_limits_are_enforced(server: StreamServer) -> None:
    server.start(one("a", Camera()))
    with pytest.raises(SettingError, match="'a' is served already"):
        server.start(one("a", Camera()))
    with pytest.raises(SettingError, match="no stream 'b' is served"):
        server.stop("b")
    with pytest.raises(SettingError, match="'b' is given twice"):
        server.replace([one("b", Camera()), one("b", Camera())])
    with pytest.raises(ServerFullError, match="7 streams; allowed: 6"):
        server.replace([one(f"s{i}", Camera()) for i in range(7)])
    assert [stream.name for stream in server.started] == ["a"]


def test_closing_finishes_every_file(server: StreamServer, tmp_path: Path) -> None:
    outputs = [tmp_path / f"{i}.mp4" for i in range(3)]
    for i, output in enumerate(outputs):
        goes_on(server.start(one(f"s{i}", Camera(), str(output))))
    lost = Camera()
    lost.is_there.clear()
    server.start(one("lost", lost))
    server.close()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.mp4", "1.mp4", "2.mp4"]
    assert all(frames_in(output) > 3 for output in outputs)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"name": "a/b"}, "`name`: 'a/b' is not allowed"),
        ({"name": ""}, "`name`: '' is not allowed"),
        ({"outputs": ("-",)}, "standard output"),
        ({"outputs": ("a.xyz",)}, ".xyz cannot be written"),
        ({"outputs": ("srt://host:1",)}, "srt:// cannot be written"),
        ({"outputs": ("a.mkv", "a.mkv")}, "given twice"),
    ],
)
def test_a_wrong_definition_is_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(SettingError) as refused:
        StreamDefinition(**({"name": "a", "source": "0"} | changes))  # type: ignore[arg-type]
    assert words in str(refused.value)
