"""Unpack AAC from LATM, the format of DVB and ISDB broadcasts.

ISO/IEC 14496-3, 1.7: LOAS frames of one AudioMuxElement each. Only what broadcasts use is
supported: one programme with one layer, and one frame per element, its length given in bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rtseg.media.packets import duplicate

_SYNC = 0x2B7
_SBR, _PARAMETRIC_STEREO = 5, 29
_PLAIN_OBJECTS = frozenset({1, 2, 3, 4, 6, 7, 17, 19, 20, 21, 22, 23})
"""Audio object types with a GASpecificConfig."""


class UnusualLatmError(ValueError):
    """An unsupported kind of LATM, or a damaged frame."""


class _Bits:
    """Reads the bits of a packet one after the other."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._length = 8 * len(data)
        self.position = 0

    def read(self, count: int) -> int:
        if self.position + count > self._length:
            raise UnusualLatmError("it ends prematurely")
        self.position += count
        return self._value >> (self._length - self.position) & ((1 << count) - 1)

    def bits(self, start: int, end: int) -> bytes:
        """The bits from `start` to `end`, padded with zeros to whole bytes."""
        count = end - start
        value = self._value >> (self._length - end) & ((1 << count) - 1)
        return (value << -count % 8).to_bytes((count + 7) // 8, "big")


class LatmAac:
    """Unpacks each packet from LATM.

    Args:
        first_packets: the stream's first packets, one of which holds the configuration.

    Attributes:
        configuration: the stream's AudioSpecificConfig.

    Raises:
        UnusualLatmError: they are of an unsupported kind.
    """

    codec = "aac"

    def __init__(self, first_packets: Sequence[object]) -> None:
        self.configuration = b""
        for packet in first_packets:
            _, configuration = _unpacked(bytes(packet))  # type: ignore[call-overload]
            self.configuration = self.configuration or configuration
        if not self.configuration:
            raise UnusualLatmError("no configuration arrived")

    @classmethod
    def can_read(cls, first_packets: Sequence[object]) -> bool:
        """Whether a stream is of the supported kind."""
        try:
            cls(first_packets)
        except UnusualLatmError:
            return False
        return True

    def packets(self, packet: Any) -> list[Any]:
        """Return the bare packet, or nothing for a damaged one."""
        try:
            payload, _ = _unpacked(bytes(packet))
        except UnusualLatmError:
            return []
        return [duplicate(packet, payload)]


def _unpacked(data: bytes) -> tuple[bytes, bytes]:
    """Extract the AAC frame of one LOAS frame, and its configuration if it has one."""
    bits = _Bits(data)
    if bits.read(11) != _SYNC:
        raise UnusualLatmError("it does not begin with the sync word")
    bits.read(13)
    configuration = b"" if bits.read(1) else _stream_mux_config(bits)
    length = 0
    while True:
        more = bits.read(8)
        length += more
        if more != 255:
            break
    start = bits.position
    bits.read(8 * length)
    return bits.bits(start, bits.position), configuration


def _stream_mux_config(bits: _Bits) -> bytes:
    version = bits.read(1)
    # allStreamsSameTimeFraming, then the numbers of frames, programmes and layers, less one.
    if version or not bits.read(1) or bits.read(6) or bits.read(4) or bits.read(3):
        raise UnusualLatmError("several streams in one")
    start = bits.position
    _audio_specific_config(bits)
    configuration = bits.bits(start, bits.position)
    if bits.read(3):
        raise UnusualLatmError("frames of a fixed length")
    bits.read(8)  # latmBufferFullness
    if bits.read(1):  # otherDataPresent
        while bits.read(1):
            bits.read(8)
        bits.read(8)
    if bits.read(1):  # crcCheckPresent
        bits.read(8)
    return configuration


def _audio_specific_config(bits: _Bits) -> None:
    """Skip an AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1)."""
    kind = _object_type(bits)
    _sampling_frequency(bits)
    channels = bits.read(4)
    if kind in (_SBR, _PARAMETRIC_STEREO):
        _sampling_frequency(bits)
        kind = _object_type(bits)
    if kind not in _PLAIN_OBJECTS or not channels:
        raise UnusualLatmError("an unusual kind of sound")
    bits.read(1)  # frameLengthFlag
    if bits.read(1):  # dependsOnCoreCoder
        bits.read(14)
    if bits.read(1):  # extensionFlag
        raise UnusualLatmError("an unusual kind of sound")


def _object_type(bits: _Bits) -> int:
    kind = bits.read(5)
    return 32 + bits.read(6) if kind == 31 else kind


def _sampling_frequency(bits: _Bits) -> None:
    if bits.read(4) == 15:
        bits.read(24)
