"""Where times begin, clocks that jump or wrap, and live streams without timestamps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest

from rtseg.errors import TruncatedError
from rtseg.frames import Frame, Packet
from rtseg.settings import ReadSettings
from rtseg.sources import open_source
from rtseg.sources.clock_joins import ClockJoins
from rtseg.sources.video import VideoSource
from tests.reliability.servers import Client, serving
from tests.sources.paced import TICK
from tests.support.clips import MakeClip, convert, copied_packets, frame_times, read_frames
from tests.support.sound import lag_seconds, make_sound_clip


def starts(path: Path) -> tuple[Fraction, Fraction]:
    return frame_times(path)[0], copied_packets(path)[0][1]


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
@pytest.mark.parametrize(
    ("name", "offset"),
    [("a.ts", "0"), ("a.ts", "50000"), ("a.ts", "95442"), ("a.mkv", "50000"), ("a.mkv", "7")],
)
def test_outputs_begin_at_zero(tmp_path: Path, name: str, offset: str, suffix: str) -> None:
    options = {"output_ts_offset": offset}
    if name.endswith(".mkv"):
        options["avoid_negative_ts"] = "disabled"
    source = make_sound_clip(tmp_path / name, muxer_options=options)
    output = tmp_path / f"out{suffix}"
    convert(source, output)
    picture_start, sound_start = starts(output)
    assert 0 <= picture_start < Fraction(1, 20)
    assert -Fraction(1, 20) < sound_start < Fraction(1, 20)
    assert abs(min(picture_start, max(sound_start, Fraction(0)))) <= Fraction(1, 1000)
    before, after = frame_times(source), frame_times(output)
    assert len(before) == len(after)
    for one, other in zip(before, after, strict=True):
        assert abs((one - before[0]) - (other - after[0])) <= Fraction(1, 1000)
    assert abs(lag_seconds(source) - lag_seconds(output)) < 0.004


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_the_files_own_clock_is_kept_on_request(tmp_path: Path, suffix: str) -> None:
    source = make_sound_clip(tmp_path / "in.ts", muxer_options={"output_ts_offset": "500"})
    output = tmp_path / f"out{suffix}"
    convert(source, output, read=ReadSettings(keep_timestamps=True))
    for one, other in zip(starts(source), starts(output), strict=True):
        assert abs(one - other) <= Fraction(1, 1000)
        assert one > 499


def test_a_late_picture_or_late_sound_stays_late(tmp_path: Path) -> None:
    for how in ({"start": 0.6}, {"video_start": 1.2}):
        source = make_sound_clip(tmp_path / "in.mkv", **how)  # type: ignore[arg-type]
        convert(source, tmp_path / "out.mp4")
        assert abs(lag_seconds(source) - lag_seconds(tmp_path / "out.mp4")) < 0.004
        (tmp_path / "out.mp4").unlink()


def test_without_sound_the_first_picture_is_at_zero(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mkv", video_start=1.2)
    convert(source, tmp_path / "out.mp4", audio="none")
    assert frame_times(tmp_path / "out.mp4")[0] == 0


def test_chapters_are_shifted_too(make_clip: MakeClip, tmp_path: Path) -> None:
    source = make_clip(
        "in.mkv",
        ticks=range(100, 150),
        chapters=[(4.0, 5.0, "one"), (5.0, 6.0, "two")],
    )
    convert(source, tmp_path / "out.mkv")
    with av.open(str(tmp_path / "out.mkv")) as container:
        begins = [c["start"] * c["time_base"] for c in container.chapters()]
    assert begins == [0, 1]


def test_an_edit_list_shifts_nothing(tmp_path: Path) -> None:
    source = make_sound_clip(tmp_path / "in.mp4", start=0.5)
    convert(source, tmp_path / "out.mp4")
    assert frame_times(tmp_path / "out.mp4") == frame_times(source)
    assert copied_packets(tmp_path / "out.mp4") == copied_packets(source)


def test_a_clock_that_wraps_continues(tmp_path: Path) -> None:
    """MPEG-TS counts 33 bits of 90 kHz: 26.5 hours."""
    wrap = Fraction(1 << 33, 90000)
    source = make_sound_clip(
        tmp_path / "in.ts",
        seconds=4,
        pictures=100,
        muxer_options={"output_ts_offset": str(float(wrap) - 1.4 - 2)},
    )
    output = tmp_path / "out.mp4"
    convert(source, output)
    steps = {b - a for a, b in pairwise(frame_times(output))}
    assert len(frame_times(output)) == 100
    assert steps == {TICK}
    assert abs(lag_seconds(source, seconds=4) - lag_seconds(output, seconds=4)) < 0.004


@pytest.mark.parametrize("offsets", [("0", "0"), ("0", "50000"), ("50000", "10")])
def test_joined_recordings_keep_sound_and_picture_in_sync(
    tmp_path: Path, offsets: tuple[str, str]
) -> None:
    parts = [
        make_sound_clip(tmp_path / f"{n}.ts", muxer_options={"output_ts_offset": offset})
        for n, offset in enumerate(offsets)
    ]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    output = tmp_path / "out.mp4"
    convert(joined, output)
    times = frame_times(output)
    assert len(times) == 100
    assert all(0 < b - a < Fraction(1, 5) for a, b in pairwise(times))
    # Each half is identified by the frame that it begins with.
    sound = [time for _, time, _ in copied_packets(output)]
    assert all(0 < b - a < Fraction(1, 5) for a, b in pairwise(sound))
    assert abs(sound[-1] - times[-1]) < Fraction(1, 5)
    frames = read_frames(joined)
    assert [frame.index for frame in frames if frame.discontinuity] == [50]


class Stamped:
    def __init__(self, index: int, seconds: float) -> None:
        self.stream_index, self.time_base = index, Fraction(1, 1000)
        self.dts = self.pts = round(seconds * 1000)
        self.duration = 40


def joined_times(order: list[tuple[int, float]]) -> list[tuple[int, float]]:
    joins = ClockJoins()
    placed = []
    for index, seconds in order:
        packet: Any = Stamped(index, seconds)
        joins.place(packet)
        placed.append((index, packet.dts / 1000))
    return placed


def test_both_streams_follow_a_new_clock_by_the_same_amount() -> None:
    first = [(i % 2, 100 + 0.04 * (i // 2)) for i in range(20)]
    second = [(1, 7.0), (0, 7.1), (1, 7.04), (0, 7.14)]
    placed = joined_times(first + second)
    assert placed[:20] == first
    video = [t for i, t in placed[20:] if i == 0]
    sound = [t for i, t in placed[20:] if i == 1]
    assert sound[0] == pytest.approx(100.4)
    assert video[0] - sound[0] == pytest.approx(0.1)


def test_late_packets_of_the_old_clock_stay_on_it() -> None:
    first = [(0, 100.0), (1, 100.0), (0, 100.04), (1, 100.04)]
    mixed = [(0, 5.0), (1, 100.08), (0, 5.04), (1, 5.08)]
    placed = joined_times(first + mixed)
    assert placed[4] == (0, pytest.approx(100.08))
    assert placed[5] == (1, 100.08)
    assert placed[7] == (1, pytest.approx(100.16))


def test_a_single_wild_time_has_no_lasting_effect() -> None:
    times = [(0, 100.0), (0, 100.04), (0, 90000.0), (0, 100.12), (0, 100.16)]
    placed = [t for _, t in joined_times(times)]
    assert placed == pytest.approx([100.0, 100.04, 100.08, 100.12, 100.16], abs=0.05)


def test_a_real_pause_of_less_than_a_minute_is_kept() -> None:
    times = [(0, 10.0), (0, 40.0), (1, 10.0), (1, 69.0)]
    assert joined_times(times) == times


def crc(data: bytes) -> bytes:
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value & 0x80000000 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def two_programmes(tmp_path: Path) -> Path:
    """Two transport streams in one, like a broadcaster's multiplex."""
    packets: list[list[bytes]] = []
    programmes = b""
    for number in (1, 2):
        part = make_sound_clip(
            tmp_path / f"{number}.ts",
            languages=("eng",) if number == 1 else ("deu", "fra"),
            muxer_options={
                "mpegts_service_id": str(number),
                "mpegts_start_pid": str(0x100 * number),
                "mpegts_pmt_start_pid": str(0x1000 + number),
            },
            video_codec="libx264" if number == 1 else "mpeg2video",
        )
        data = part.read_bytes()
        packets.append([data[i : i + 188] for i in range(0, len(data), 188)])
        programmes += number.to_bytes(2, "big") + (0xE000 | 0x1000 + number).to_bytes(2, "big")
    section = bytes([0, 0xB0, 9 + len(programmes), 0, 1, 0xC1, 0, 0]) + programmes
    table = b"\x47\x40\x00\x10\x00" + (section + crc(section))
    mixed = [table.ljust(188, b"\xff")]
    first, second = ([p for p in part if p[1] & 0x1F or p[2]] for part in packets)
    for number in range(max(len(first), len(second))):
        mixed += first[number : number + 1] + second[number : number + 1]
    path = tmp_path / "multiplex.ts"
    path.write_bytes(b"".join(mixed))
    return path


def test_the_sound_belongs_to_the_videos_programme(tmp_path: Path) -> None:
    path = two_programmes(tmp_path)
    with av.open(str(path)) as container:
        assert len(container.streams.audio) == 3
        assert len(container.streams.video) == 2
    with VideoSource(str(path), with_streams=True) as source:
        languages = [stream.language for stream in source.info.streams]
        items = list(source)
    assert languages == ["eng"]
    assert any(isinstance(item, Packet) for item in items)
    convert(path, tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert [stream.language for stream in container.streams.audio] == ["eng"]


def test_streams_that_appear_later_do_not_end_the_video(
    make_clip: MakeClip, tmp_path: Path
) -> None:
    """A recording that begins before its channel's sound: the video is read to its end."""
    silent = make_clip("silent.ts", ticks=range(40))
    sounding = make_sound_clip(
        tmp_path / "sound.ts", languages=("eng", "deu"), muxer_options={"mpegts_start_pid": "0x100"}
    )
    path = tmp_path / "joined.ts"
    path.write_bytes(silent.read_bytes() + sounding.read_bytes())
    for _ in range(5):
        assert len(read_frames(path)) == 90


def test_an_unknown_stream_at_the_end_loses_no_frames(
    make_clip: MakeClip, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Container:
        """Ends like PyAV when a stream appeared during reading."""

        def __init__(self, container: Any) -> None:
            self._container = container

        def __getattr__(self, name: str) -> Any:
            return getattr(self._container, name)

        def demux(self, streams: Any) -> Iterator[Any]:
            for packet in self._container.demux(streams):
                if not packet.size:
                    raise IndexError("list index out of range")
                yield packet

    from rtseg.sources import video

    opened = video.open_container

    def open_container(*arguments: Any, **options: Any) -> Any:
        container, pipe = opened(*arguments, **options)
        return Container(container), pipe

    path = make_clip(ticks=range(30), options={"preset": "medium", "bf": "3"})
    monkeypatch.setattr(video, "open_container", open_container)
    assert len(read_frames(path)) == 30


NAMES = ["v.mp4", "v.mkv", "v.flv", "v.avi", "v.ts"]


def read_from_server(data: bytes, name: str, version: str) -> tuple[int, str]:
    """The number of frames from a server that states no length, and the error at the end."""

    def answer(client: Client) -> None:
        client.send(f"HTTP/{version} 200 OK\r\nConnection: close\r\n\r\n".encode())
        client.send(data)

    count, ended = 0, ""
    with serving(answer) as server, open_source(server.url(f"/{name}")) as source:
        try:
            for _ in source:
                count += 1
        except TruncatedError as error:
            ended = str(error)
    return count, ended


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_a_server_that_states_no_length_is_judged_by_the_duration(
    make_clip: MakeClip, name: str, version: str
) -> None:
    options = {"movflags": "faststart"} if name == "v.mp4" else {}
    data = make_clip(name, ticks=range(50), muxer_options=options).read_bytes()
    assert read_from_server(data, name, version) == (50, "")
    count, ended = read_from_server(data[: len(data) // 2], name, version)
    assert 3 < count < 40
    # MPEG-TS does not state its length.
    assert ("states a length of 2.0 s" in ended) == (name != "v.ts")


def test_half_of_a_file_through_a_pipe_is_truncated(
    make_clip: MakeClip, pipe: Callable[[list[bytes], float], None]
) -> None:
    data = make_clip("half.mkv", ticks=range(100)).read_bytes()
    pipe([data[: len(data) // 2]], 0.0)
    with open_source("-") as source, pytest.raises(TruncatedError, match=r"a length of 4\.0 s"):
        for _ in source:
            pass


def test_sound_longer_than_the_picture_is_not_a_truncation(
    tmp_path: Path, pipe: Callable[[list[bytes], float], None]
) -> None:
    clip = make_sound_clip(tmp_path / "long.mkv", seconds=4.0, pictures=25)
    pipe([clip.read_bytes()], 0.0)
    with open_source("-") as source:
        assert sum(isinstance(item, Frame) for item in source) == 25
