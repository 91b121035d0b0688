"""What flows through the pipeline: frames, copied packets, and segmentations.

Colour order: every image in rtseg is **RGB**, uint8, (height, width, 3). The only doors where it
is converted are OpenCV's own (the camera and the window).

Coordinates: x to the right and y down, in pixels of the frame, the origin at the top left corner
of the top left pixel; a pixel's centre is at +0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from rtseg.errors import SettingError
from rtseg.labels import LabelSet

Image = npt.NDArray[np.uint8]
"""RGB, uint8, (height, width, 3)."""

LabelMap = npt.NDArray[np.uint8]
"""Label ids, uint8, (height, width)."""

Picture = npt.NDArray[np.uint8]
"""A rendered view: uint8, (height, width, 3) RGB or (height, width, 4) RGBA, alpha straight."""

Probabilities = npt.NDArray[np.float32]
"""Class probabilities, float32, (height, width, classes), summing to one over the classes."""

Alpha = npt.NDArray[np.float32]
"""A soft mask: how much of each pixel belongs to something, float32 0..1, (height, width)."""

_SHOWN_CLASSES = 4
"""So many are named where a segmentation is printed."""

Region = tuple[slice, slice]
"""Rows and columns of a frame."""


def check_image(image: npt.NDArray[np.generic]) -> None:
    """Raise SettingError unless the array is an RGB image: uint8, (height, width, 3), not empty."""
    shape = getattr(image, "shape", None)
    dtype = getattr(image, "dtype", None)
    if dtype != np.uint8 or shape is None or len(shape) != 3 or shape[2] != 3 or 0 in shape:
        raise SettingError(
            f"an image must be uint8 (height, width, 3) in RGB order; found {dtype} {shape}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Frame:
    """One picture of a stream.

    Attributes:
        image: uint8 (height, width, 3), RGB.
        index: 0 for the first frame that the source delivered, then counting up; a live source
            counts what it captured, so a gap means dropped frames.
        pts: presentation time in ticks of `time_base`.
        time_base: seconds a tick, exact.
        duration: how long the frame is shown, in ticks, where the source knows it.
        captured_ns: `time.monotonic_ns()` when the source had the picture.
        discontinuity: a cut, a reconnect or a change of size lies before this frame: whatever
            was remembered of earlier frames no longer holds.
        is_corrupt: the decoder says that the picture is damaged.
    """

    image: Image
    index: int
    pts: int
    time_base: Fraction
    duration: int | None = None
    captured_ns: int = 0
    discontinuity: bool = False
    is_corrupt: bool = False

    def __post_init__(self) -> None:
        check_image(self.image)
        if self.index < 0:
            raise SettingError(f"a frame's index must not be negative; found {self.index}")
        if self.time_base <= 0:
            raise SettingError(f"a frame's time base must be positive; found {self.time_base}")

    @property
    def height(self) -> int:
        """Pixels."""
        return int(self.image.shape[0])

    @property
    def width(self) -> int:
        """Pixels."""
        return int(self.image.shape[1])

    @property
    def pts_seconds(self) -> Fraction:
        """The presentation time in seconds, exact."""
        return self.pts * self.time_base


@dataclass(frozen=True, kw_only=True, eq=False)
class Packet:
    """One compressed packet of an audio or subtitle stream, to be copied bit for bit.

    Attributes:
        stream_index: which of `SourceInfo.streams` it belongs to.
        time_seconds: its decoding time (dts, or pts where there is none), for ordering.
        size_bytes: what it holds in memory, for bounding queues.
        payload: the demuxer's own packet; only the sink that copies it looks inside.
    """

    stream_index: int
    time_seconds: Fraction
    size_bytes: int
    payload: object = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Box:
    """An upright rectangle in frame pixels; may reach over the frame's edges."""

    left: float
    top: float
    right: float
    bottom: float

    def __post_init__(self) -> None:
        if not (self.right > self.left and self.bottom > self.top):
            raise SettingError(f"a box must have a positive width and height; found {self}")

    @property
    def width(self) -> float:
        """Pixels."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """Pixels."""
        return self.bottom - self.top

    @property
    def centre(self) -> tuple[float, float]:
        """(x, y), pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom), pixels."""
        return self.left, self.top, self.right, self.bottom

    def overlap(self, other: Box) -> float:
        """Intersection over union with another box, 0..1."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        if width <= 0 or height <= 0:
            return 0.0
        shared = width * height
        return shared / (self.area + other.area - shared)


@dataclass(frozen=True, kw_only=True)
class Face:
    """A face in one frame.

    Attributes:
        box: around its face and hair pixels, in frame pixels, inside the frame.
        track_id: the same number for the same person from frame to frame, counting from 1.
        score: how sure the model is that this is a face, 0..1.
        face_box: around the face alone, forehead to chin and ear to ear; `box` if not given.
    """

    box: Box
    track_id: int
    score: float
    face_box: Box = None  # type: ignore[assignment]  # never None once it is made

    def __post_init__(self) -> None:
        if self.face_box is None:
            object.__setattr__(self, "face_box", self.box)
        if not 0.0 <= self.score <= 1.0:
            raise SettingError(f"a face's score must be within 0..1; found {self.score}")

    def mask(self, segmentation: Segmentation, *names: str) -> npt.NDArray[np.bool_]:
        """Where the named classes of this face are: bool (height, width) of the frame.

        Args:
            segmentation: the one that the face comes from.
            names: classes or groups; all of the face's if none is given.

        Raises:
            SettingError: a name is unknown.
        """
        from rtseg.results.instances import face_mask

        return face_mask(segmentation, self, segmentation.label_set.select(names or ("all",)))


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceAlpha:
    """One face's part of a soft mask.

    Attributes:
        track_id: whose it is; 0 where the model sees whole frames.
        region: the rows and columns of the frame that it covers.
        alpha: float32 0..1 of those pixels.
    """

    track_id: int
    region: Region
    alpha: Alpha


class SoftMaskMaker(Protocol):
    """Makes soft masks from what the labels were made from."""

    def alpha(self, ids: Sequence[int]) -> Alpha:
        """The share of some classes in every pixel of the frame."""

    def by_face(self, ids: Sequence[int]) -> list[FaceAlpha]:
        """The same face by face."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Segmentation:
    """What a model says of one frame.

    Attributes:
        labels: uint8 (height, width) at the frame's size; ids of `label_set`.
        label_set: what the ids mean.
        faces: the faces that the labels come from; empty for whole-frame models.
        held: where faces were lost from sight a moment ago, in frame pixels: views that hide faces
            hide these places too.
        soft: what soft masks are made from, where the segmenter was asked to keep it.
        image: the picture itself, RGB, of a still; a stream's frames hold their own.
    """

    labels: LabelMap
    label_set: LabelSet
    faces: tuple[Face, ...] = ()
    held: tuple[Box, ...] = ()
    soft: SoftMaskMaker | None = None
    image: Image | None = None

    def __post_init__(self) -> None:
        if self.labels.dtype != np.uint8 or self.labels.ndim != 2:
            raise SettingError(
                "labels must be uint8 (height, width); "
                f"found {self.labels.dtype} {self.labels.shape}"
            )

    def __repr__(self) -> str:
        height, width = self.labels.shape
        counts = self.pixel_counts()
        largest = sorted(self.label_set.foreground, key=lambda i: -counts[self.label_set.names[i]])
        names = [self.label_set.names[i] for i in largest]
        shares = [f"{n} {counts[n] / self.labels.size:.1%}" for n in names if counts[n]]
        seen = ", ".join(shares[:_SHOWN_CLASSES]) or "nothing but background"
        if len(shares) > _SHOWN_CLASSES:
            seen += f" and {len(shares) - _SHOWN_CLASSES} more"
        count = len(self.faces)
        faces = f"{count} face{'' if count == 1 else 's'}: " if self.label_set.face else ""
        return f"<Segmentation {width}x{height}, {faces}{seen}>"

    @property
    def names(self) -> dict[int, str]:
        """The class names by label id."""
        return dict(enumerate(self.label_set.names))

    def pixel_counts(self) -> dict[str, int]:
        """How many pixels each class has, by class name."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.label_set))
        return {name: int(counts[i]) for i, name in enumerate(self.label_set.names)}

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """Where any of the named classes is: bool (height, width).

        Raises:
            SettingError: a name is unknown.
        """
        return np.isin(self.labels, self.label_set.select(names))

    def alpha(self, *names: str) -> Alpha:
        """How much of each pixel belongs to the named classes: float32 (height, width), 0..1.

        Made anew at every call from the probabilities that the labels were made from: smooth at
        edges, above one half only where `mask` of the same names is true, and at least one half
        there.

        Raises:
            SettingError: a name is unknown, or the segmenter was not made with `soft=True`.
        """
        ids = self.label_set.select(names)
        return self.soft_masks.alpha(ids)

    @property
    def soft_masks(self) -> SoftMaskMaker:
        """What makes the soft masks.

        Raises:
            SettingError: the segmenter was not made with `soft=True`.
        """
        if self.soft is None:
            raise SettingError(
                "this result holds no soft masks; make the segmenter with Segmenter(soft=True)"
            )
        return self.soft

    def polygons(self, *names: str) -> list[npt.NDArray[np.float32]]:
        """The outlines of the named classes taken together, largest first.

        Returns:
            (x, y) of the corners in pixels, float32 (corners, 2) each; holes are left out.

        Raises:
            SettingError: a name is unknown.
        """
        from rtseg.results.polygons import polygons_of

        return polygons_of(self.mask(*names))

    def to_json(self) -> dict[str, Any]:
        """Faces and pixels of each class as plain JSON values, as `--json` writes them."""
        from rtseg.results.records import segmentation_record

        return segmentation_record(self)

    def to_coco(self, *, image_id: int = 1, first_id: int = 1) -> list[dict[str, Any]]:
        """COCO annotations with run-length masks, one for each class of each face.

        Args:
            image_id: what `image_id` is to be.
            first_id: the first annotation's id; the others count up from it.
        """
        from rtseg.results.coco import coco_annotations

        return list(coco_annotations(self, image_id=image_id, first_id=first_id))

    def to_supervision(self) -> Any:
        """`supervision.Detections`, one for each class of each face.

        Raises:
            SettingError: the package supervision is not installed.
        """
        from rtseg.results.supervision import to_detections

        return to_detections(self)

    def plot(self, picture: Image | Frame | None = None, **view: Any) -> Picture:
        """The picture with the labels drawn on it.

        Args:
            picture: what was segmented; not needed for a still, whose result holds it.
            view: any field of `ViewSettings`: `view="contour"`, `opacity=0.3`, `legend=True` …

        Returns:
            uint8 (height, width, 3) RGB (OpenCV's windows and files want BGR: `[..., ::-1]`).

        Raises:
            SettingError: there is no picture, or a view's value is not allowed.
        """
        from rtseg.views.plot import plot

        return plot(self, picture, **view)

    def save(self, path: str | Path, picture: Image | Frame | None = None, **view: Any) -> Path:
        """Write what `plot` draws into a picture file (PNG, JPEG, WebP …, by its suffix).

        A file there is replaced.

        Returns:
            Where it lies.

        Raises:
            SettingError: as `plot`, or the suffix is no picture's.
            SinkError: it cannot be written.
        """
        from rtseg.views.plot import save

        return save(self, path, picture, **view)
