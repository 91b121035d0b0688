"""Use an NVIDIA GPU's video encoder and decoder (NVENC, NVDEC) through PyAV.

Not every GPU has them: data-centre cards have no encoder, and the codecs differ by generation.
"""

from __future__ import annotations

import logging
from fractions import Fraction
from typing import TYPE_CHECKING

from rtseg.errors import BackendError
from rtseg.settings import HardwareDecoding
from rtseg.system.nvidia import nvidia_driver_problem

if TYPE_CHECKING:
    from av.codec.hwaccel import HWAccel

_PROBE_SIDE, _PROBE_RATE = 256, 25

_log = logging.getLogger("rtseg")


def check_hardware_encoder(encoder: str, *, instead: str) -> None:
    """Try to open an encoder, so that its absence is noticed before anything is read.

    Args:
        encoder: FFmpeg's name, such as `h264_nvenc`.
        instead: the codec to suggest for encoding on the processor.

    Raises:
        BackendError: there is no NVIDIA GPU, or it lacks this encoder.
    """
    import av

    problem = nvidia_driver_problem()
    if problem is None:
        try:
            context = av.CodecContext.create(encoder, "w")
            context.width = context.height = _PROBE_SIDE  # type: ignore[attr-defined]
            context.pix_fmt = "yuv420p"  # type: ignore[attr-defined]
            context.time_base = Fraction(1, _PROBE_RATE)
            context.open()
        except (av.error.FFmpegError, LookupError, ValueError) as error:
            problem = f"the GPU or its driver cannot encode this codec ({error})"
    if problem is not None:
        raise BackendError(
            f"codec {encoder}: {problem}; it needs an NVIDIA GPU with an encoder, {instead} runs "
            "on the processor"
        )


def hardware_decoder(decoding: HardwareDecoding, *, name: str) -> HWAccel | None:
    """Return PyAV's settings for decoding on a GPU into host memory; None for the processor.

    Args:
        decoding: `auto` uses a GPU if there is one, and the processor for what it cannot decode.
        name: the input's name in messages.

    Raises:
        BackendError: `cuda` was requested, and no NVIDIA GPU can decode.
    """
    if decoding == "off":
        return None
    import av
    from av.codec.hwaccel import HWAccel

    problem = nvidia_driver_problem()
    if problem is None:
        try:
            HWAccel("cuda").create(av.Codec("h264", "r"))
        except (av.error.FFmpegError, RuntimeError, NotImplementedError) as error:
            problem = f"the GPU or its driver cannot decode this video ({error})"
    if problem is None:
        return HWAccel("cuda", allow_software_fallback=decoding == "auto")
    if decoding == "cuda":
        raise BackendError(
            f"hardware decoding: {problem}; it needs an NVIDIA GPU, which `off` and `auto` do not"
        )
    _log.info("%s: decoding on the processor: %s", name, problem)
    return None
