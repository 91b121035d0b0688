"""Which sink `open_sink` makes for a name, and how users add sinks."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rtseg.errors import SettingError
from rtseg.settings import EncodeSettings, StreamSettings
from rtseg.sinks import open_sink, register_sink
from rtseg.sinks import registry as registry_module
from rtseg.sinks.images import ImagesSink
from rtseg.sinks.json_lines import JsonLinesSink
from rtseg.sinks.labels.images import open_labels_sink
from rtseg.sinks.memory import MemorySink as MemorySink
from rtseg.sinks.registry import SinkOptions
from rtseg.sinks.video import VideoSink


@pytest.fixture
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove a test's registrations after it."""
    for name in ("_by_scheme", "_by_suffix"):
        monkeypatch.setattr(registry_module, name, dict(getattr(registry_module, name)))
    monkeypatch.setattr(registry_module, "_plugins_loaded", False)


@pytest.mark.usefixtures("empty_registry")
def test_a_scheme_and_a_suffix_can_be_registered() -> None:
    asked: list[tuple[str, SinkOptions]] = []

    def make(output: str, options: SinkOptions) -> MemorySink:
        asked.append((output, options))
        return MemorySink()

    register_sink(make, schemes=("mqtt", "S3"), suffixes=(".gif",))
    encode, stream = EncodeSettings(crf=3), StreamSettings(reconnect=False)
    for name in ("mqtt://host/topic", "MQTT://host", "s3://bucket/a.mp4", "a.gif", "A.GIF"):
        sink = open_sink(name, settings=encode, stream=stream, threads=3, shared=True)
        assert isinstance(sink, MemorySink)
        assert asked.pop() == (
            name,
            SinkOptions(encode=encode, stream=stream, threads=3, shared=True),
        )


@pytest.mark.usefixtures("empty_registry")
def test_existing_sinks_can_be_replaced_individually() -> None:
    register_sink(lambda _output, _options: MemorySink(), suffixes=(".mp4",))
    assert isinstance(open_sink("a.mp4"), MemorySink)
    assert isinstance(open_sink("a.mkv"), VideoSink)


@pytest.mark.parametrize("scheme", ["", "c", "mqtt://", "1x", "a b"])
def test_invalid_schemes_are_refused(scheme: str) -> None:
    with pytest.raises(SettingError, match="a sink's scheme is"):
        register_sink(lambda _output, _options: MemorySink(), schemes=(scheme,))


@pytest.mark.parametrize("suffix", ["", "gif", ".tar.gz"])
def test_invalid_suffixes_are_refused(suffix: str) -> None:
    with pytest.raises(SettingError, match="a sink's suffix is"):
        register_sink(lambda _output, _options: MemorySink(), suffixes=(suffix,))


@pytest.mark.usefixtures("empty_registry")
def test_an_installed_package_registers_its_sinks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_outputs.py").write_text(
        "from rtseg.sinks.registry import register_sink\n"
        "from rtseg.sinks.memory import MemorySink as MemorySink\n"
        "def register():\n"
        "    register_sink(lambda output, options: MemorySink(), schemes=('mine',))\n"
    )
    described = tmp_path / "my_outputs-1.0.dist-info"
    described.mkdir()
    (described / "METADATA").write_text("Metadata-Version: 2.1\nName: my-outputs\nVersion: 1.0\n")
    (described / "entry_points.txt").write_text("[rtseg.sinks]\nmine = my_outputs:register\n")
    with pytest.raises(SettingError, match="mine:// cannot be written"):
        open_sink("mine://x")
    monkeypatch.setattr(registry_module, "_plugins_loaded", False)
    monkeypatch.syspath_prepend(str(tmp_path))
    try:
        assert isinstance(open_sink("mine://x"), MemorySink)
    finally:
        sys.modules.pop("my_outputs", None)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("ftp://host/out.mp4", "ftp:// cannot be written; allowed: "),
        ("whatever://host", "whatever:// cannot be written; allowed: "),
        ("srt://host:9000", "without SRT"),
        ("https://host/live.m3u8", "a page for browsers is `web`"),
        ("file:///tmp/out.mp4", "give the path itself"),
        ("rtmp:/host/live", "a URL begins with rtmp://"),
        ("FTP:/host/out.mp4", "a URL begins with ftp://"),
    ],
)
@pytest.mark.parametrize("suffix", ["", "/", ".mp4", "/%06d.png"])
def test_an_unsupported_url_is_one_line(
    name: str, says: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SettingError, match=says) as caught:
        open_sink(name + suffix)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_secrets_are_hidden() -> None:
    with pytest.raises(SettingError) as caught:
        open_sink("ftp://maria:s3cret@host/out.mp4?key=s3cret")
    assert "s3cret" not in str(caught.value)


def test_a_url_instead_of_a_path_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("rtmp://host/live", "file:///tmp/masks", "s3:/bucket/x"):
        for make in (
            lambda output: open_labels_sink(output, overwrite=True),
            lambda output: open_labels_sink(output + ".npz", overwrite=True),
            lambda output: open_labels_sink(output + ".mkv", overwrite=True),
            lambda output: JsonLinesSink(output, overwrite=True),
            lambda output: ImagesSink(output, settings=EncodeSettings()),
            VideoSink,
        ):
            with pytest.raises(SettingError):
                make(name)
    assert list(tmp_path.iterdir()) == []


def test_names_with_a_colon_are_files() -> None:
    assert isinstance(open_sink("./rtmp:x/%06d.png"), ImagesSink)
    assert isinstance(open_sink("take:2.mp4"), VideoSink)
    assert isinstance(open_sink("C:/videos/a.mp4"), VideoSink)
