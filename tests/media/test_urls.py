"""Names of inputs: what is shown, and what stays secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from rtseg.media.urls import display_name, local_path, scheme_of


@pytest.mark.parametrize(
    ("location", "shown"),
    [
        ("clips/a b.mp4", "a b.mp4"),
        ("-", "standard input"),
        ("https://example.org/v/a.mp4", "https://example.org/v/a.mp4"),
        ("rtsp://user:secret@cam.local:554/ch1", "rtsp://cam.local:554/ch1"),
        ("rtsp://user:sec@ret@cam.local/ch1", "rtsp://cam.local/ch1"),
        ("rtsp://user:sec/ret@cam.local/ch1", "rtsp://cam.local/ch1"),
        ("rtsp://user:sec?ret#x@cam.local/ch1", "rtsp://cam.local/ch1"),
        ("http://cam/video?user=admin&pwd=secret", "http://cam/video"),
        ("http://cam?token=secret", "http://cam"),
        ("rtsp://cam/user=admin_password=secret_channel=1", "rtsp://cam/***"),
        ("http://cam/live/token=secret/x.m3u8", "http://cam/live/***"),
        ("file:///tmp/a%20b.mp4", "a b.mp4"),
    ],
)
def test_secrets_are_not_shown(location: str, shown: str) -> None:
    assert display_name(location) == shown
    assert "sec" not in display_name(location)


def test_paths_and_urls_are_distinguished() -> None:
    assert local_path("a:b.mp4") == Path("a:b.mp4")
    assert local_path("C:/v.mp4") == Path("C:/v.mp4")
    assert local_path("file:///tmp/v.mp4") == Path("/tmp/v.mp4")
    assert local_path("rtsp://cam/v") is None
    assert local_path("-") is None
    assert scheme_of("RTSP://cam") == "rtsp"
