"""NVENC and NVDEC without a GPU: clean failure, and `auto` continues without."""

import numpy as np
import pytest

from rtseg.errors import BackendError, SettingError
from rtseg.media import hardware
from rtseg.settings import EncodeSettings, ReadSettings
from rtseg.sinks.codecs import choose_codec, encoder_options
from rtseg.sources.video import VideoSource
from rtseg.system.nvidia import nvidia_driver_problem


@pytest.fixture(params=["no driver", "a driver whose GPU does neither"])
def problem(request, monkeypatch):
    if nvidia_driver_problem() is None:
        pytest.skip("there is a GPU")
    if request.param == "no driver":
        return "no NVIDIA driver"
    monkeypatch.setattr(hardware, "nvidia_driver_problem", lambda: None)
    return "the GPU or its driver cannot"


@pytest.mark.parametrize("codec", ["h264_nvenc", "hevc_nvenc", "av1_nvenc"])
def test_a_missing_encoder_is_reported_before_anything_is_read(problem, codec):
    with pytest.raises(BackendError, match=rf"codec {codec}: {problem}.*runs on the processor"):
        hardware.check_hardware_encoder(codec, instead=codec.partition("_")[0])


def test_the_command_line_exits_with_7_and_leaves_no_output(problem, make_clip, tmp_path, capsys):
    from rtseg.cli import main

    output = tmp_path / "out.mp4"
    with pytest.raises(SystemExit) as ended:
        main(["video", str(make_clip()), "-o", str(output), "--codec", "h264_nvenc"])
    assert ended.value.code == 7
    said = capsys.readouterr().err
    assert problem in said
    assert "h264 runs on the processor" in said
    assert not output.exists()


def test_decoding_on_a_missing_gpu_is_refused(problem, make_clip):
    with pytest.raises(BackendError, match=rf"hardware decoding: {problem}.*`off` and `auto`"):
        VideoSource(str(make_clip()), settings=ReadSettings(hardware_decoding="cuda"))


def test_auto_decodes_on_the_processor_with_a_message(problem, make_clip, caplog):
    clip = str(make_clip())
    pictures = []
    for decoding in ("off", "auto"):
        with (
            caplog.at_level("INFO", "rtseg"),
            VideoSource(clip, settings=ReadSettings(hardware_decoding=decoding)) as source,
        ):
            pictures.append([frame.image for frame in source])
    np.testing.assert_array_equal(*pictures)
    assert f"decoding on the processor: {problem}" in caplog.text


def test_options_of_the_encoders_are_right():
    settings = EncodeSettings(codec="hevc_nvenc", crf=30, preset="p6")
    options = encoder_options(
        choose_codec("x.mp4", settings), settings, frames_a_second=25, threads=4
    )
    assert options == {"rc": "vbr", "cq": "30", "b": "0", "preset": "p6"}
    with pytest.raises(SettingError, match="p1, p2"):
        choose_codec("x.mp4", EncodeSettings(codec="h264_nvenc", preset="veryfast"))
    with pytest.raises(SettingError, match="av1_nvenc"):
        choose_codec("x.mov", EncodeSettings(codec="av1_nvenc"))
