"""An option that needs another one is refused without it, instead of doing nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.conftest import Run


@pytest.mark.parametrize(
    ("words", "option", "needs"),
    [
        (("video", "in.mp4", "-o", "out.mp4", "--token", "a-secret-of-length"), "--token", "--web"),
        (("video", "in.mp4", "-o", "out.mp4", "--always"), "--always", "--web"),
        (("video", "in.mp4", "-o", "out.mp4", "--alpha-bits", "16"), "--alpha-bits", "--alpha"),
        (("video", "in.mp4", "--labels", "masks", "--crf", "20"), "--crf", "-o OUTPUT"),
        (("video", "in.mp4", "--json", "a.jsonl", "--no-audio"), "--no-audio", "-o OUTPUT"),
        (("camera", "--max-viewers", "3"), "--max-viewers", "--web"),
        (("camera", "--mirror"), "--mirror", "--virtual-camera"),
        (("camera", "--virtual-camera-fps", "20"), "--virtual-camera-fps", "--virtual-camera"),
        (("batch", "in.mp4", "-o", "out", "--alpha-bits", "16"), "--alpha-bits", "--alpha"),
        (
            ("batch", "in.mp4", "-o", "out", "--labels", "--no-pictures", "--codec", "av1"),
            "--codec",
            "--pictures",
        ),
    ],
)
def test_an_option_without_its_companion_is_refused(
    run: Run,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    option: str,
    needs: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    refused = run(*words)
    assert refused.code == 2
    assert refused.error == (
        f"error: {option}: has no effect without {needs}; give {needs} too, or leave it out"
    )


def test_with_its_companion_it_is_taken(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("video", "missing.mp4", "-o", "a.mkv", "--alpha", "hair", "--alpha-bits", "16")
    assert "no effect" not in run(*words, "--crf", "20").error


def test_a_default_from_the_environment_is_no_mistake(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RTSEG_VIDEO_TOKEN", "a-secret-of-length")
    assert "no effect" not in run("video", "missing.mp4", "-o", "a.mp4").error
