"""The live encoder's promises: no delay, no reordering, short groups, limited bit rate."""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import pytest

from rtseg.errors import SettingError, SinkError
from rtseg.settings import EncodeSettings
from rtseg.sinks.live_encoder import TIME_BASE, EncodedPicture, LiveEncoder
from tests.support.clips import picture


def decoded(pictures: list[EncodedPicture]) -> list[np.ndarray]:
    context = av.CodecContext.create("h264", "r")
    context.thread_count = 1
    frames = []
    for encoded in pictures:
        packet = av.Packet(encoded.data)
        packet.pts, packet.time_base = encoded.ticks, TIME_BASE
        frames += context.decode(packet)
    frames += context.decode(None)
    return [frame.to_ndarray(format="rgb24") for frame in frames]


def encode(encoder: LiveEncoder, times: list[float], **options: bool) -> list[EncodedPicture]:
    out = [encoder.encode(picture(i), seconds, **options) for i, seconds in enumerate(times)]
    assert all(out), "each comes out before the next goes in"
    return out  # type: ignore[return-value]


def test_each_picture_is_encoded_at_once_and_looks_unchanged() -> None:
    encoder = LiveEncoder(width=64, height=48, threads=1, settings=EncodeSettings(crf=5))
    pictures = encode(encoder, [i / 30 for i in range(20)])
    assert [p.ticks for p in pictures] == [i * 3000 for i in range(20)]
    for i, image in enumerate(decoded(pictures)):
        assert np.abs(image.astype(int) - picture(i)).mean() < 3, i


@pytest.mark.parametrize("rate", [0.4, 1.0, 7.0, 30.0])
def test_key_frames_are_at_most_two_seconds_apart(rate: float) -> None:
    """Whatever rate the source states."""
    encoder = LiveEncoder(width=64, height=48, threads=1, frame_rate=Fraction(30))
    pictures = encode(encoder, [i / rate for i in range(round(6.5 * rate) + 2)])
    keys = [float(p.ticks * TIME_BASE) for p in pictures if p.is_key]
    assert keys[0] == 0
    longest = max(np.diff([*keys, pictures[-1].ticks * TIME_BASE]))
    assert longest <= max(2.0, 1 / rate) + 0.001
    if rate == 30.0:
        assert len(keys) == 4, "and no more key frames than that"


def test_decoding_can_start_at_any_key_frame() -> None:
    encoder = LiveEncoder(width=64, height=48, threads=1)
    encode(encoder, [0, 0.1, 0.2])
    asked = encoder.encode(picture(5), 0.3, key=True)
    after = encoder.encode(picture(6), 0.4)
    assert asked is not None
    assert after is not None
    assert asked.is_key
    assert not after.is_key
    assert len(decoded([asked, after])) == 2, "it brings what a decoder needs"
    assert asked.data.count(encoder.parameter_sets[4:12]) == 1


def test_a_picture_that_is_not_later_is_dropped() -> None:
    encoder = LiveEncoder(width=64, height=48, threads=1)
    assert encoder.encode(picture(0), 1.0)
    assert encoder.encode(picture(1), 1.0) is None
    assert encoder.encode(picture(2), 0.5) is None
    assert encoder.encode(picture(3), 1.5)


def test_odd_sizes_are_padded() -> None:
    encoder = LiveEncoder(width=63, height=47, threads=1)
    image = np.ascontiguousarray(picture(3)[:47, :63])
    encoded = encoder.encode(image, 0)
    assert encoded is not None
    (shown,) = decoded([encoded])
    assert shown.shape == (48, 64, 3)


def test_noise_stays_within_the_bit_rate_limit() -> None:
    """Six megabits per second at 720p; here the equivalent for fewer pixels."""
    rng = np.random.default_rng(1)
    encoder = LiveEncoder(width=640, height=360, threads=1)
    noise = [rng.integers(0, 256, (360, 640, 3), np.uint8) for _ in range(10)]
    sizes = [len(encoder.encode(noise[i % 10], i / 30).data) for i in range(90)]  # type: ignore[union-attr]
    assert sum(sizes[30:]) * 8 / 2 < 1.6 * 6.5 * 640 * 360


def test_unsupported_settings_are_refused() -> None:
    with pytest.raises(SettingError, match=r"live streams are H\.264"):
        LiveEncoder(width=64, height=48, settings=EncodeSettings(codec="av1"))
    with pytest.raises(SettingError, match="`preset`: '10' is unknown to h264"):
        LiveEncoder(width=64, height=48, settings=EncodeSettings(preset="10"))
    with pytest.raises(SettingError, match="`crf`: 60 is out of range for h264"):
        LiveEncoder(width=64, height=48, settings=EncodeSettings(crf=60))
    with pytest.raises(SinkError, match="64x48 in a live stream of 32x32"):
        LiveEncoder(width=32, height=32, threads=1).encode(picture(0), 0)
