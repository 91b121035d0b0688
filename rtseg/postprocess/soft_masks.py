"""Soft masks: how much of each pixel belongs to a group of classes, computed on demand.

A group's share is the sum of its classes' probabilities, interpolated bilinearly like labels. The
sum can exceed one half where no class of the group is the most likely one, and vice versa; such
values are clamped to one half, so that a soft mask never contradicts the labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rtseg.frames import Alpha, FaceAlpha, LabelMap, Probabilities
from rtseg.geometry.crop import Crop

_LEAST = 1 / 256
"""Cells with a smaller share of a group than this are ignored."""

_PixelBox = tuple[int, int, int, int]
"""(left, top, right, bottom) in whole pixels, right and bottom exclusive."""


@dataclass(frozen=True, kw_only=True, eq=False)
class CropProbabilities:
    """The probabilities from which one crop's labels were made.

    Attributes:
        probabilities: float32 (rows, columns, classes), smoothed; need not sum to one.
        crop: its position in the frame.
        track_id: the face's track; 0 for a whole frame.
    """

    probabilities: Probabilities
    crop: Crop
    track_id: int


@dataclass(eq=False)
class _Layer:
    """One crop's part of a soft mask: `alpha` on the pixels of `box`."""

    track_id: int
    box: _PixelBox
    alpha: Alpha


class SoftMasks:
    """The soft masks of one frame. Keeps the crops' probabilities, but no picture.

    Args:
        crops: in the order in which their labels were written; later ones cover earlier ones.
        labels: the frame's labels, which every soft mask agrees with.
        background: the id that does not cover anything, or None if every id does.
    """

    def __init__(
        self, crops: Sequence[CropProbabilities], *, labels: LabelMap, background: int | None
    ) -> None:
        self._crops = tuple(crops)
        self._labels = labels
        self._background = background

    def alpha(self, ids: Sequence[int]) -> Alpha:
        """The share of the given classes in every pixel, 0..1: float32, the labels' shape.

        It is above one half only where the label is one of them, and at least one half there.
        """
        if self._background in ids:
            count = self._crops[0].probabilities.shape[2] if self._crops else 0
            others = [label for label in range(count) if label not in ids]
            return np.subtract(1, self.alpha(others), dtype=np.float32)
        alpha: Alpha = np.zeros(self._labels.shape, np.float32)
        if not len(ids):
            return alpha
        layers = self._layers(ids)
        for layer in layers:
            left, top, right, bottom = layer.box
            alpha[top:bottom, left:right] += layer.alpha
        for layer in layers:
            self._hold(alpha, ids, layer.box)
        return alpha

    def by_face(self, ids: Sequence[int]) -> list[FaceAlpha]:
        """The shares of the given foreground classes, face by face, each limited to its pixels.

        A face behind another is covered by it. The faces' shares add up to `alpha`, except at
        pixels that are clamped to one half there.
        """
        by_track: dict[int, list[_Layer]] = {}
        for layer in self._layers(ids):
            by_track.setdefault(layer.track_id, []).append(layer)
        faces = []
        for track_id, layers in by_track.items():
            # hair may continue beyond a face's crop, in a second one
            layer = layers[0] if len(layers) == 1 else _together(layers)
            left, top, right, bottom = layer.box
            region = (slice(top, bottom), slice(left, right))
            faces.append(FaceAlpha(track_id=track_id, region=region, alpha=layer.alpha))
        return faces

    def _layers(self, ids: Sequence[int]) -> list[_Layer]:
        layers: list[_Layer] = []
        for part in self._crops:
            for layer in layers:
                self._cover(layer, part)
            share = _share(part.probabilities, ids)
            box = self._box_of(share, part.crop)
            if box is not None:
                alpha = _spread(share, part.crop, box, beyond=None if self._is_whole else 0.0)
                layers.append(_Layer(part.track_id, box, alpha))
        return layers

    @property
    def _is_whole(self) -> bool:
        """Whether the crop is the whole frame."""
        return self._background is None or self._crops[0].track_id == 0

    def _cover(self, layer: _Layer, part: CropProbabilities) -> None:
        """Remove from a layer what a crop on top of it covers."""
        if self._background is None:
            return
        bounds = part.crop.bounds
        left, top = max(layer.box[0], int(bounds.left)), max(layer.box[1], int(bounds.top))
        right = min(layer.box[2], int(bounds.right) + 1)
        bottom = min(layer.box[3], int(bounds.bottom) + 1)
        if right <= left or bottom <= top:
            return
        empty = _share(part.probabilities, (self._background,))
        visible = _spread(empty, part.crop, (left, top, right, bottom), beyond=1.0)
        x, y = layer.box[:2]
        layer.alpha[top - y : bottom - y, left - x : right - x] *= visible

    def _box_of(self, share: Alpha, crop: Crop) -> _PixelBox | None:
        """The pixels around all cells with a share, including the cells where it falls to zero."""
        import cv2

        held = np.asarray(cv2.compare(share, _LEAST, cv2.CMP_GT), np.uint8)
        column, row, columns, rows = cv2.boundingRect(held)
        if not columns:
            return None
        height, width = self._labels.shape
        box = crop.box
        across, down = box.width / share.shape[1], box.height / share.shape[0]
        # a cell affects pixels up to one cell from its centre
        x = box.left + across * np.array([column - 0.5, column + columns + 0.5])
        y = box.top + down * np.array([row - 0.5, row + rows + 0.5])
        corner_x, corner_y = crop.to_frame(x[[0, 1, 1, 0]], y[[0, 0, 1, 1]])
        left, right = max(0, int(corner_x.min())), min(width, int(corner_x.max()) + 1)
        top, bottom = max(0, int(corner_y.min())), min(height, int(corner_y.max()) + 1)
        return (left, top, right, bottom) if right > left and bottom > top else None

    def _hold(self, alpha: Alpha, ids: Sequence[int], box: _PixelBox) -> None:
        """Clamp to one half, in place, whatever would contradict the labels."""
        import cv2

        left, top, right, bottom = box
        part = alpha[top:bottom, left:right]
        labels = self._labels[top:bottom, left:right]
        membership = np.zeros(256, np.uint8)
        membership[list(ids)] = 1
        # for one class, comparing is several times as fast as a lookup table
        inside = labels == ids[0] if len(ids) == 1 else cv2.LUT(labels, membership).view(np.bool_)
        wrong = part > 0.5
        np.not_equal(wrong, inside, out=wrong)
        if wrong.any():
            rows, columns = np.divmod(np.flatnonzero(wrong), wrong.shape[1])
            part[rows, columns] = 0.5


def _together(layers: Sequence[_Layer]) -> _Layer:
    """Merge one face's layers into one that contains all their pixels."""
    boxes = np.array([layer.box for layer in layers])
    left, top = (int(edge) for edge in boxes[:, :2].min(0))
    right, bottom = (int(edge) for edge in boxes[:, 2:].max(0))
    alpha: Alpha = np.zeros((bottom - top, right - left), np.float32)
    for layer in layers:
        x, y = layer.box[0] - left, layer.box[1] - top
        height, width = layer.alpha.shape
        alpha[y : y + height, x : x + width] += layer.alpha
    return _Layer(layers[0].track_id, (left, top, right, bottom), alpha)


def _share(probabilities: Probabilities, ids: Sequence[int]) -> Alpha:
    """A group's share in each cell, on the side of one half that agrees with the label."""
    classes = probabilities.shape[2]
    members = np.zeros((classes, 2), np.float32)
    members[list(ids), 0] = 1
    members[:, 1] = 1
    sums = probabilities.reshape(-1, classes) @ members
    share: Alpha = sums[:, 0] / sums[:, 1]
    unsure = np.flatnonzero((share > _LEAST) & (share < 1 - _LEAST))
    leaders = probabilities.reshape(-1, classes).take(unsure, axis=0).argmax(1)
    wrong = (share[unsure] > 0.5) != (members[leaders, 0] > 0)
    share[unsure[wrong]] = 0.5
    return share.reshape(probabilities.shape[:2])


def _spread(share: Alpha, crop: Crop, box: _PixelBox, *, beyond: float | None) -> Alpha:
    """Interpolate a crop's values bilinearly at pixels of the frame.

    Args:
        share: float32 (rows, columns) of the crop.
        crop: its position.
        box: the pixels.
        beyond: the value beyond the crop's edges; None repeats the edge.
    """
    import cv2

    left, top, right, bottom = box
    from_box = np.array([[1.0, 0, left], [0, 1.0, top], [0, 0, 1.0]])
    spread = cv2.warpAffine(
        share,
        crop.grid_from_frame(*share.shape) @ from_box,
        (right - left, bottom - top),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE if beyond is None else cv2.BORDER_CONSTANT,
        borderValue=0.0 if beyond is None else beyond,
    )
    return np.asarray(spread, np.float32)
