"""Convert high dynamic range (HLG and PQ of ITU-R BT.2100) to BT.709 with a published curve.

The curve is method A of Report ITU-R BT.2446-1 (section 4), made for broadcasters: it preserves
skin and mid-tones and rolls off highlights. The transfer functions are those of BT.2100-2, and the
colour conversion is that of BT.2087. Colours outside BT.709 are clipped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from rtseg.frames import Image
from rtseg.media.side_data import side_data

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

Floats = npt.NDArray[np.float32]
Table = npt.NDArray[np.float64]

PQ, HLG = 16, 18
"""H.273 transfer characteristics."""

SDR_NITS = 100.0
"""Peak luminance of the result in cd/m²."""

HLG_NITS = 1000.0
"""Nominal peak luminance of an HLG display, for a system gamma of 1.2."""

USUAL_NITS = 1000.0
"""Assumed peak luminance of PQ pictures that do not state that of their mastering display."""

_LUMA = np.array((0.2627, 0.6780, 0.0593))
_RED_DIFFERENCE = 1.4746
_HLG_GAMMA = 1.2
_DISPLAY_GAMMA = 2.4

_CHROMATICITIES = {
    1: ((0.640, 0.330), (0.300, 0.600), (0.150, 0.060)),
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),
}
"""Chromaticities (x, y) of BT.709, BT.2020 and Display P3 primaries, by H.273 number."""

_D65 = (0.3127, 0.3290)

_STRIP_PIXELS = 1 << 16
"""Pixels processed at a time, so that they stay in the processor's cache."""


def hlg_scene_light(signal: Table) -> Table:
    """BT.2100's inverse OETF of HLG: signal 0..1 to scene light 0..1."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073
    dark, bright = signal**2 / 3, (np.exp((signal - c) / a) + b) / 12
    return np.asarray(np.where(signal <= 0.5, dark, bright))


def pq_nits(signal: Table) -> Table:
    """BT.2100's EOTF of PQ: signal 0..1 to cd/m²."""
    m1, m2 = 2610 / 16384, 2523 / 4096 * 128
    c1, c2, c3 = 3424 / 4096, 2413 / 4096 * 32, 2392 / 4096 * 32
    power = signal ** (1 / m2)
    light = np.maximum(power - c1, 0) / (c2 - c3 * power)
    return np.asarray(10_000 * light ** (1 / m1))


def tone_curve(luma: Table, peak_nits: float) -> Table:
    """BT.2446 method A, steps 1 to 3: HDR luma to SDR luma, both 0..1 with gamma 2.4."""
    hdr = 1 + 32 * (peak_nits / 10_000) ** (1 / 2.4)
    sdr = 1 + 32 * (SDR_NITS / 10_000) ** (1 / 2.4)
    perceived = np.log1p((hdr - 1) * luma) / np.log(hdr)
    knee = np.select(
        [perceived <= 0.7399, perceived < 0.9909],
        [1.0770 * perceived, (-1.1510 * perceived + 2.7811) * perceived - 0.6302],
        0.5 * perceived + 0.5,
    )
    return np.asarray((sdr**knee - 1) / (sdr - 1))


def stated_peak_nits(picture: VideoFrame) -> float | None:
    """The peak luminance of a picture's mastering display; None if not stated."""
    import struct

    data = side_data(picture, "MASTERING_DISPLAY_METADATA")
    if data is None or len(data) < 88:
        return None
    numerator, denominator, _, has_luminance = struct.unpack_from("=4i", data, 72)
    if not has_luminance or denominator <= 0:
        return None
    nits: float = numerator / denominator
    return nits if SDR_NITS < nits <= 10_000 else None


class ToneMapper:
    """Maps pictures of one transfer function to BT.709 for a display of gamma 2.4 (BT.1886).

    Args:
        transfer: `PQ` or `HLG`.
        primaries: H.273 colour primaries; unknown ones count as BT.2020.
        peak_nits: peak luminance of PQ pictures; anything brighter is clipped.
    """

    def __init__(self, transfer: int, *, primaries: int = 9, peak_nits: float = USUAL_NITS) -> None:
        signal = np.arange(1 << 16) / 65535
        self._is_hlg = transfer == HLG
        if self._is_hlg:
            peak_nits = HLG_NITS
            light = hlg_scene_light(signal)
            self._light = light.astype(np.float32)
        else:
            light = np.minimum(pq_nits(signal) / peak_nits, 1)
        self._to_2020 = None
        if primaries in _CHROMATICITIES and primaries != 9:
            self._to_2020 = _conversion(primaries, 9).astype(np.float32)
            self._linear = light.astype(np.float32)
        self._nonlinear = (light ** (1 / _DISPLAY_GAMMA)).astype(np.float32)
        self._to_709 = _conversion(9, 1).astype(np.float32)
        luma = signal
        mapped = tone_curve(luma, peak_nits)
        scale = np.divide(mapped, 1.1 * luma, out=np.zeros_like(luma), where=luma > 0)
        scale[0] = scale[1]
        self._mapped, self._scale = mapped.astype(np.float32), scale.astype(np.float32)

    def map(self, signal: npt.NDArray[np.uint16]) -> Image:
        """Map R'G'B' of the transfer function to R'G'B' of BT.709.

        Args:
            signal: uint16 (height, width, 3), full range.

        Returns:
            uint8 (height, width, 3), full range.
        """
        height, width = signal.shape[:2]
        if min(height, width) < 2:
            # OpenCV takes an array this small for a scalar.
            return self.map(np.pad(signal, ((0, 1), (0, 1), (0, 0)), "edge"))[:height, :width]
        image: Image = np.empty((height, width, 3), np.uint8)
        rows = max(2, _STRIP_PIXELS // width)
        for top in range(0, height - 1, rows):
            # A single last row is added to the strip before it.
            strip = slice(top, height if height - top - rows < 2 else top + rows)
            image[strip] = self._map_strip(signal[strip])
        return image

    def _map_strip(self, signal: npt.NDArray[np.uint16]) -> Image:
        import cv2

        colours = self._display_signal(signal)
        luma = _weighted(colours, _LUMA)
        index = np.rint(np.clip(luma, 0, 1) * 65535).astype(np.uint16)
        mapped, scale = _look_up(index, self._mapped), _look_up(index, self._scale)
        # Colour differences keep their proportions, and reds are darkened (step 4).
        red = scale * (colours[..., 0] - luma)
        mapped -= np.maximum(0.1 / _RED_DIFFERENCE * red, 0)
        offset = mapped - scale * luma
        colours = cv2.add(cv2.multiply(colours, cv2.merge([scale] * 3)), cv2.merge([offset] * 3))
        linear = cv2.transform(cv2.pow(np.maximum(colours, 0), _DISPLAY_GAMMA), self._to_709)
        coded = cv2.pow(np.maximum(linear, 0), 1 / _DISPLAY_GAMMA)
        return np.asarray(cv2.convertScaleAbs(coded, alpha=255), np.uint8)  # rounds, and saturates

    def _display_signal(self, signal: npt.NDArray[np.uint16]) -> Floats:
        """R'G'B' with BT.2020 primaries for a display of gamma 2.4, where 1 is its peak."""
        import cv2

        if self._to_2020 is not None:
            light = cv2.transform(
                _look_up(signal, self._light if self._is_hlg else self._linear), self._to_2020
            )
            light = np.maximum(light, 0)
            colours = np.asarray(cv2.pow(light, 1 / _DISPLAY_GAMMA), np.float32)
        else:
            light = _look_up(signal, self._light) if self._is_hlg else None
            colours = _look_up(signal, self._nonlinear)
        if self._is_hlg:
            # BT.2100's OOTF: display light depends on scene luminance.
            luminance = _weighted(light, _LUMA)
            gain = cv2.pow(luminance, (_HLG_GAMMA - 1) / _DISPLAY_GAMMA)
            colours = np.asarray(cv2.multiply(colours, cv2.merge([gain] * 3)), np.float32)
        return colours


def _weighted(colours: Any, weights: Table) -> Floats:
    import cv2

    return np.asarray(cv2.transform(colours, weights[None].astype(np.float32)), np.float32)


def _look_up(values: npt.NDArray[np.uint16], table: Floats) -> Floats:
    return _lookup_of_this_opencv()(values, table)


def _lookup_of_this_opencv() -> Callable[[npt.NDArray[np.uint16], Floats], Floats]:
    global _lookup
    if _lookup is None:
        import cv2

        def by_opencv(values: npt.NDArray[np.uint16], table: Floats) -> Floats:
            return np.asarray(cv2.LUT(values, table), np.float32)

        def by_numpy(values: npt.NDArray[np.uint16], table: Floats) -> Floats:
            return np.asarray(np.take(table, values))

        try:
            by_opencv(np.zeros((1, 1), np.uint16), np.zeros(1 << 16, np.float32))
        except cv2.error:
            _lookup = by_numpy  # OpenCV 4 supports tables of 256 entries only.
        else:
            _lookup = by_opencv
    return _lookup


_lookup: Callable[[npt.NDArray[np.uint16], Floats], Floats] | None = None


def _conversion(source: int, target: int) -> Table:
    """The matrix that converts linear light between two sets of primaries."""
    return np.asarray(np.linalg.inv(_to_xyz(target)) @ _to_xyz(source))


def _to_xyz(primaries: int) -> Table:
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in _CHROMATICITIES[primaries]]).T
    x, y = _D65
    white = np.array((x / y, 1, (1 - x - y) / y))
    return np.asarray(columns * np.linalg.solve(columns, white))
