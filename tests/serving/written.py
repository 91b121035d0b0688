"""Files of streams that tests write, and the problems reported for them."""

from __future__ import annotations

from pathlib import Path

from rtseg.serving.streams_file import StreamsFile, read_streams


def read(folder: Path, text: str, **defaults: object) -> StreamsFile:
    path = folder / "streams.toml"
    path.write_text(text)
    return read_streams(path, **defaults)  # type: ignore[arg-type]


def problem(folder: Path, table: str, **defaults: object) -> str:
    """The problem reported for one stream's table, beside a valid one."""
    text = f'[streams.fine]\nsource = "0"\n[streams.door]\n{table}\n'
    read_file = read(folder, text, **defaults)
    assert [one.name for one in read_file.definitions] == ["fine"]
    assert list(read_file.problems) == ["door"]
    words = read_file.problems["door"]
    start = f"{folder / 'streams.toml'}: [streams.door] "
    assert words.startswith(start)
    assert "\n" not in words
    assert "`" not in words
    return words.removeprefix(start)
