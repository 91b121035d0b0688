"""The data that flows through the pipeline: frames, copied packets, and segmentations.

Every image in rtseg is **RGB**, uint8, (height, width, 3). Colour order is converted only at calls
to OpenCV (the camera and the window).

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
"""A rendered view: uint8, (height, width, 3) RGB or (height, width, 4) RGBA, straight alpha."""

Probabilities = npt.NDArray[np.float32]
"""Class probabilities, float32, (height, width, classes), summing to one over the classes."""

Alpha = npt.NDArray[np.float32]
"""A soft mask: the share of each pixel that belongs to a class, float32 0..1, (height, width)."""

_SHOWN_CLASSES = 4
"""How many classes a printed segmentation names."""

Region = tuple[slice, slice]
"""A rectangle as slices of a frame's rows and columns."""


def check_image(image: npt.NDArray[np.generic]) -> None:
    """Raise SettingError if the array is not an RGB image: uint8, (height, width, 3), not empty."""
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
        index: counts up from 0; a live source counts captured frames, so a gap means that frames
            were dropped.
        pts: presentation time in ticks of `time_base`.
        time_base: seconds per tick, exact.
        duration: how long the frame is shown, in ticks, if the source knows it.
        captured_ns: `time.monotonic_ns()` when the source received the picture.
        discontinuity: whether there was a cut, a reconnect or a change of size before this
            frame, so that state from earlier frames no longer applies.
        is_corrupt: whether the decoder reported damage in the picture.
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
        stream_index: the index of its stream in `SourceInfo.streams`.
        time_seconds: its decoding time (dts, or pts if there is none), for ordering.
        size_bytes: its size in memory, for limiting queues.
        payload: the demuxer's packet object; only the sink that copies it uses it.
    """

    stream_index: int
    time_seconds: Fraction
    size_bytes: int
    payload: object = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Box:
    """An upright rectangle in frame pixels, which may extend beyond the frame."""

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
        """(x, y) in pixels."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    @property
    def area(self) -> float:
        """Square pixels."""
        return self.width * self.height

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels."""
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
        box: around its face and hair, in frame pixels, clipped to the frame.
        track_id: the person's number, constant from frame to frame, counting from 1.
        score: the model's confidence that this is a face, 0..1.
        face_box: around the face alone, from forehead to chin and ear to ear; `box` by default.
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
        """The mask of the named classes of this face: bool (height, width) of the frame.

        Args:
            segmentation: the segmentation that the face comes from.
            names: classes or groups; by default all of the face's.

        Raises:
            SettingError: a name is unknown.
        """
        from rtseg.results.instances import face_mask

        return face_mask(segmentation, self, segmentation.label_set.select(names or ("all",)))


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceAlpha:
    """One face's part of a soft mask.

    Attributes:
        track_id: the face's track; 0 if the model processes whole frames.
        region: the rectangle of the frame that it covers.
        alpha: float32 0..1 for those pixels.
    """

    track_id: int
    region: Region
    alpha: Alpha


class SoftMaskMaker(Protocol):
    """Makes soft masks from a frame's probabilities."""

    def alpha(self, ids: Sequence[int]) -> Alpha:
        """The share of the given classes in every pixel of the frame."""

    def by_face(self, ids: Sequence[int]) -> list[FaceAlpha]:
        """The same for each face separately."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Segmentation:
    """The result for one frame.

    Attributes:
        labels: uint8 (height, width) at the frame's size; ids of `label_set`.
        label_set: the meaning of the ids.
        faces: the segmented faces; empty for whole-frame models.
        held: boxes in frame pixels that views that hide faces hide too: of recently lost faces, and
            of those that a finder sees but the labels hardly show.
        soft: makes soft masks, if the segmenter was made with `soft=True`.
        image: a still's picture in RGB; None in a stream, whose frames have it.
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
        classes = ", ".join(shares[:_SHOWN_CLASSES]) or "nothing but background"
        if len(shares) > _SHOWN_CLASSES:
            classes += f" and {len(shares) - _SHOWN_CLASSES} more"
        count = len(self.faces)
        faces = f"{count} face{'' if count == 1 else 's'}: " if self.label_set.face else ""
        return f"<Segmentation {width}x{height}, {faces}{classes}>"

    @property
    def names(self) -> dict[int, str]:
        """The class names by label id."""
        return dict(enumerate(self.label_set.names))

    def pixel_counts(self) -> dict[str, int]:
        """The number of pixels of each class, by name."""
        counts = np.bincount(self.labels.reshape(-1), minlength=len(self.label_set))
        return {name: int(counts[i]) for i, name in enumerate(self.label_set.names)}

    def mask(self, *names: str) -> npt.NDArray[np.bool_]:
        """The mask of the named classes together: bool (height, width).

        Raises:
            SettingError: a name is unknown.
        """
        return np.isin(self.labels, self.label_set.select(names))

    def alpha(self, *names: str) -> Alpha:
        """The share of each pixel that belongs to the named classes: float32 (height, width), 0..1.

        Computed at every call from the labels' probabilities. It is smooth at edges, above one half
        only where `mask` of the same names is true, and at least one half there.

        Raises:
            SettingError: a name is unknown, or the segmenter was not made with `soft=True`.
        """
        ids = self.label_set.select(names)
        return self.soft_masks.alpha(ids)

    @property
    def soft_masks(self) -> SoftMaskMaker:
        """The object that makes the soft masks.

        Raises:
            SettingError: the segmenter was not made with `soft=True`.
        """
        if self.soft is None:
            raise SettingError(
                "this result has no soft masks; make the segmenter with Segmenter(soft=True)"
            )
        return self.soft

    def polygons(self, *names: str) -> list[npt.NDArray[np.float32]]:
        """The outlines of the named classes together, largest first.

        Returns:
            (x, y) of the corners in pixels, float32 (corners, 2) each; holes are omitted.

        Raises:
            SettingError: a name is unknown.
        """
        from rtseg.results.polygons import polygons_of

        return polygons_of(self.mask(*names))

    def to_json(self) -> dict[str, Any]:
        """The faces and the pixels of each class as JSON values, as written by `--json`."""
        from rtseg.results.records import segmentation_record

        return segmentation_record(self)

    def to_coco(self, *, image_id: int = 1, first_id: int = 1) -> list[dict[str, Any]]:
        """COCO annotations with run-length masks, one for each class of each face.

        Args:
            image_id: the annotations' `image_id`.
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
        """Draw the labels on the picture.

        Args:
            picture: the segmented picture; not needed for a still, whose result has it.
            view: any field of `ViewSettings`: `view="contour"`, `opacity=0.3`, `legend=True` …

        Returns:
            uint8 (height, width, 3) RGB (for OpenCV's BGR, use `[..., ::-1]`).

        Raises:
            SettingError: there is no picture, or a view setting is invalid.
        """
        from rtseg.views.plot import plot

        return plot(self, picture, **view)

    def save(self, path: str | Path, picture: Image | Frame | None = None, **view: Any) -> Path:
        """Write the picture from `plot` to a file (PNG, JPEG, WebP …, by its suffix).

        An existing file is replaced.

        Returns:
            The file's path.

        Raises:
            SettingError: as for `plot`, or the suffix is not a picture suffix.
            SinkError: it cannot be written.
        """
        from rtseg.views.plot import save

        return save(self, path, picture, **view)
