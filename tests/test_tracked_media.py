"""The lint check that keeps pictures and clips out of the history."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.tracked_media import ALLOWED, is_media, offenders


@pytest.mark.parametrize("name", ["a.png", "b.MP4", "deep/c.webm", "d.npz", "e.JPEG"])
def test_a_media_suffix_is_found(tmp_path: Path, name: str) -> None:
    assert is_media(tmp_path / name)


@pytest.mark.parametrize(
    "head", [b"\x89PNG\r\n\x1a\n0000", b"\xff\xd8\xff\xe0", b"\x00\x00\x00\x18ftypisom"]
)
def test_a_renamed_picture_is_found_by_its_first_bytes(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "weights.bin").write_bytes(head + b"rest")
    assert offenders(tmp_path, ["weights.bin"]) == ["weights.bin"]


def test_code_weights_and_the_allowed_picture_pass(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes((64).to_bytes(8, "little") + b'{"a":1}')
    (tmp_path / "code.py").write_text("BM = 1\n")
    assert offenders(tmp_path, ["model.safetensors", "code.py", *ALLOWED]) == []
