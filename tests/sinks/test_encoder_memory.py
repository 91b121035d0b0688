"""Encoders with look-ahead use a bounded amount of memory, however large the pictures are."""

from __future__ import annotations

import re

import pytest

from rtseg.settings import EncodeSettings
from rtseg.sinks.codecs import choose_codec, encoder_options


def lookahead(codec: str, width: int, height: int, preset: str | None = None) -> int:
    settings = EncodeSettings(codec=codec, preset=preset)  # type: ignore[arg-type]
    options = encoder_options(
        choose_codec("out.mkv", settings),
        settings,
        frames_a_second=30.0,
        threads=0,
        pixels=width * height,
    )
    if codec == "h264":
        return int(options["rc-lookahead"])
    match = re.search(r"rc-lookahead=(\d+)", options["x265-params"])
    assert match
    return int(match[1])


@pytest.mark.parametrize("codec", ["h264", "hevc"])
@pytest.mark.parametrize("preset", [None, "slow", "veryslow"])
def test_the_lookahead_is_bounded_in_bytes(codec: str, preset: str | None) -> None:
    for width, height in ((3840, 2160), (7680, 2160), (7680, 4320), (16384, 8192)):
        frames = lookahead(codec, width, height, preset)
        assert frames >= 3
        assert frames == 3 or frames * 4 * width * height <= 256 << 20


def test_small_pictures_keep_the_preset() -> None:
    assert lookahead("hevc", 1280, 720) == 15
    assert lookahead("hevc", 1280, 720, "veryslow") == 40
    assert lookahead("h264", 1280, 720) == 10
