"""An NVIDIA GPU's own video encoder and decoder (NVENC, NVDEC), through PyAV.

Not every GPU has them: data-centre cards have no encoder, and each generation its own codecs.
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
    """Open an encoder once, so that a GPU without it is found before anything is read.

    Args:
        encoder: FFmpeg's name of it, `h264_nvenc`.
        instead: the codec that the processor encodes, for the message.

    Raises:
        BackendError: there is no NVIDIA GPU, or it does not encode that.
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
            problem = f"the GPU or its driver does not encode that ({error})"
    if problem is not None:
        raise BackendError(
            f"codec {encoder}: {problem}; it needs an NVIDIA GPU with an encoder, {instead} runs "
            "on the processor"
        )


def hardware_decoder(decoding: HardwareDecoding, *, name: str) -> HWAccel | None:
    """What PyAV is opened with to decode on a GPU, and to bring the pictures to the host's memory;
    None to decode on the processor.

    Args:
        decoding: `auto` takes a GPU where there is one, and the processor for what it cannot do.
        name: of the input, for messages.

    Raises:
        BackendError: `cuda` was asked for, and there is no NVIDIA GPU that decodes.
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
            problem = f"the GPU or its driver does not decode video ({error})"
    if problem is None:
        return HWAccel("cuda", allow_software_fallback=decoding == "auto")
    if decoding == "cuda":
        raise BackendError(
            f"hardware decoding: {problem}; it needs an NVIDIA GPU, `off` and `auto` do not"
        )
    _log.info("%s: is decoded on the processor: %s", name, problem)
    return None
