"""Process one picture: its crops, its labels, and a stream's state between frames."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np

from rtseg.backends.base import Backend, Crops
from rtseg.faces import FaceFollower, TrackedFace
from rtseg.faces.tiles import tile_picture
from rtseg.frames import (
    Box,
    Face,
    Frame,
    Image,
    LabelMap,
    Probabilities,
    Segmentation,
)
from rtseg.geometry.crop import Crop, cut
from rtseg.postprocess import leading_classes, paste
from rtseg.postprocess.beyond_crop import at_the_edges, beyond_crop, wider_crop
from rtseg.postprocess.even import evened
from rtseg.postprocess.holes import filled
from rtseg.postprocess.smoothing import CutDetector, TrackSmoother
from rtseg.postprocess.soft_masks import CropProbabilities, SoftMasks
from rtseg.postprocess.wider_looks import WiderLook, WiderLooks
from rtseg.timing import StageTimes


class StreamMemory:
    """A stream's state between frames."""

    def __init__(self, follower: FaceFollower, smoothing: float) -> None:
        self.follower = follower
        self.smoothing = smoothing
        self.smoothers: dict[int, TrackSmoother] = {}
        self.wider_looks = WiderLooks()
        self.is_live = False
        self.seconds = 0.0
        self._cuts = CutDetector()
        self._size: tuple[int, ...] = ()

    def begin(self, frame: Frame) -> None:
        """Set the next frame's time, and forget state that no longer applies."""
        self.is_live = True
        self.seconds = float(frame.pts_seconds)
        is_cut = self._cuts(frame.image)
        if frame.discontinuity or is_cut or frame.image.shape != self._size:
            self.follower.reset()
            self.smoothers.clear()
            self.wider_looks.clear()
        self._size = frame.image.shape

    def smoothed(
        self, track_id: int, probabilities: Probabilities, *, picture: Image, crop: Crop
    ) -> Probabilities:
        """Smooth probabilities with the track's average."""
        if self.smoothing == 0:
            return probabilities
        smoother = self.smoothers.get(track_id)
        if smoother is None:
            smoother = self.smoothers[track_id] = TrackSmoother(self.smoothing)
        return smoother(probabilities, picture=picture, crop=crop, seconds=self.seconds)


class Answers:
    """The network's results so far for the crops of one still."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, Crop], tuple[Image, Probabilities]] = {}
        self.infer_seconds = 0.0


class AskedError(Exception):
    """A still needs the network's results for some crops before it can continue."""

    def __init__(self, backend: Backend, crops: Sequence[Crop], pictures: Crops) -> None:
        super().__init__("the network's results for some crops are not known yet")
        self.backend = backend
        self.crops = tuple(crops)
        self.pictures = pictures


def answer_all(questions: Sequence[tuple[Answers, AskedError]]) -> None:
    """Run each network once on all the crops that were requested."""
    backends = {id(request.backend): request.backend for _, request in questions}
    for key, backend in backends.items():
        requests = [(answers, r) for answers, r in questions if r.backend is backend]
        before = time.perf_counter()
        maps = list(backend.infer(np.concatenate([r.pictures for _, r in requests])))
        seconds_per_crop = (time.perf_counter() - before) / len(maps)
        for answers, request in requests:
            answers.infer_seconds += seconds_per_crop * len(request.crops)
            for crop, picture in zip(request.crops, request.pictures, strict=True):
                # a copy, so that no result keeps the whole batch in memory
                answers.known[key, crop] = picture, maps.pop(0).copy()


class PicturePass:
    """Processes one picture, and measures the time of each stage."""

    def __init__(
        self,
        backend: Backend,
        finder_backend: Backend | None,
        image: Image,
        stream: StreamMemory,
        answers: Answers | None = None,
    ) -> None:
        self.answers = answers
        self.backend = backend
        self.finder_backend = finder_backend
        self.image = image
        self.stream = stream
        self.pictures: dict[Crop, Image] = {}
        self.labelled: list[CropProbabilities] = []
        self.infer_seconds = 0.0 if answers is None else answers.infer_seconds
        self.start = time.perf_counter() - self.infer_seconds
        self.inferred_at = self.start

    def infer_crops(self, crops: Sequence[Crop]) -> list[Probabilities]:
        """Run the model on crops of the picture; one map per crop."""
        pictures, maps = self._infer(self.backend, crops)
        self.pictures.update(zip(crops, pictures, strict=True))
        return maps

    def infer_finder(self, crops: Sequence[Crop]) -> list[Probabilities]:
        """Run the finder network on crops of the picture; one map per crop."""
        if self.finder_backend is None:
            return self.infer_crops(crops)
        return self._infer(self.finder_backend, crops)[1]

    def _infer(self, backend: Backend, crops: Sequence[Crop]) -> tuple[Crops, list[Probabilities]]:
        known = None if self.answers is None else self.answers.known
        if known is not None and all((id(backend), crop) in known for crop in crops):
            answers = [known[id(backend), crop] for crop in crops]
            return np.array([picture for picture, _ in answers]), [map_ for _, map_ in answers]
        model = backend.model
        pictures: Crops = np.empty((len(crops), model.input_height, model.input_width, 3), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            cut(self.image, crop, out=picture)
        if not len(crops):
            return pictures, []
        if known is not None:
            raise AskedError(backend, crops, pictures)
        before = time.perf_counter()
        maps = backend.infer(pictures)
        self.infer_seconds += time.perf_counter() - before
        return pictures, list(maps)

    def frame_view(self) -> Segmentation:
        """Segment the whole picture at once."""
        model = self.backend.model
        height, width = self.image.shape[:2]
        whole = tile_picture(
            height,
            width,
            aspect=model.input_width / model.input_height,
            stretch=model.fit == "stretch",
        ).whole
        (probabilities,) = self.infer_crops([whole])
        self.inferred_at = time.perf_counter()
        probabilities = self.stream.smoothed(
            0, probabilities, picture=self.pictures[whole], crop=whole
        )
        probabilities = evened(probabilities, stride=model.stride)
        labels = np.zeros((height, width), np.uint8)
        paste(labels, probabilities, whole, transparent=None)
        self.labelled.append(CropProbabilities(probabilities=probabilities, crop=whole, track_id=0))
        return Segmentation(labels=labels, label_set=model.label_set)

    def face_view(self) -> Segmentation:
        """Segment the picture face by face."""
        label_set = self.backend.model.label_set
        height, width = self.image.shape[:2]
        stream = self.stream
        tracked = stream.follower.step(
            self.image,
            self.infer_crops,
            seconds=stream.seconds,
            infer_finder=self.infer_finder,
            exhaustive=not stream.is_live,
        )
        self.inferred_at = time.perf_counter()
        present = {face.track_id for face in tracked}
        for track_id in [known for known in stream.smoothers if abs(known) not in present]:
            del stream.smoothers[track_id]
        background = label_set.background
        labels = np.full((height, width), background or 0, np.uint8)
        self._paste_beyond_crops(labels, tracked)
        for face in reversed(tracked):  # the largest last, so that it wins where faces overlap
            probabilities = stream.smoothed(
                face.track_id, face.probabilities, picture=self.pictures[face.crop], crop=face.crop
            )
            probabilities = evened(probabilities, stride=self.backend.model.stride)
            leaders = leading_classes(probabilities)
            probabilities, leaders = filled(probabilities, leaders, label_set)
            if face.foreign is not None and background is not None:
                probabilities, leaders = probabilities.copy(), leaders.copy()
                probabilities[face.foreign] = np.eye(len(label_set), dtype=np.float32)[background]
                leaders[face.foreign] = background
            paste(labels, probabilities, face.crop, transparent=background, leaders=leaders)
            self.labelled.append(
                CropProbabilities(
                    probabilities=probabilities, crop=face.crop, track_id=face.track_id
                )
            )
        faces = (_face(face, labels) for face in tracked)
        return Segmentation(
            labels=labels,
            label_set=label_set,
            faces=tuple(face for face in faces if face is not None),
            held=tuple(
                inside
                for inside in (_inside(box, height, width) for box in stream.follower.held)
                if inside is not None
            ),
        )

    def _paste_beyond_crops(self, labels: LabelMap, tracked: Sequence[TrackedFace]) -> None:
        """Write hair and neck beyond the crops of faces; their crops are written over it later."""
        label_set = self.backend.model.label_set
        height, width = labels.shape
        stream = self.stream
        wider: list[tuple[TrackedFace, Crop]] = []
        looks: dict[int, WiderLook] = {}
        for face in tracked:
            crop = wider_crop(face.probabilities, face.crop, label_set, height=height, width=width)
            if crop is None:
                continue
            again = None
            if stream.is_live:
                again = stream.wider_looks.again(face, label_set, seconds=stream.seconds)
            if again is None:
                wider.append((face, crop))
                continue
            look, crop = again
            looks[face.track_id] = look
            self._paste_beyond(labels, face, look.beyond, crop)
        maps = self.infer_crops([crop for _, crop in wider])
        for (face, crop), probabilities in zip(wider, maps, strict=True):
            # with its own smoother; negative, since track ids count from 1
            steadied = stream.smoothed(
                -face.track_id, probabilities, picture=self.pictures[crop], crop=crop
            )
            steadied = evened(steadied, stride=self.backend.model.stride)
            others = [other.head for other in tracked if other is not face]
            beyond = beyond_crop(steadied, crop, face, label_set, others=others)
            looks[face.track_id] = WiderLook(
                beyond=beyond,
                crop=crop,
                face_crop=face.crop,
                edges=at_the_edges(face.probabilities, label_set),
                seconds=stream.seconds,
            )
            self._paste_beyond(labels, face, beyond, crop)
        stream.wider_looks.keep(looks, present=[face.track_id for face in tracked])

    def _paste_beyond(
        self, labels: LabelMap, face: TrackedFace, beyond: Probabilities | None, crop: Crop
    ) -> None:
        if beyond is None:
            return
        paste(labels, beyond, crop, transparent=self.backend.model.label_set.background)
        self.labelled.append(
            CropProbabilities(probabilities=beyond, crop=crop, track_id=face.track_id)
        )

    def soft_masks(self, labels: LabelMap) -> SoftMasks:
        """The soft masks of this picture."""
        return SoftMasks(
            self.labelled, labels=labels, background=self.backend.model.label_set.background
        )

    def report(self, times: StageTimes) -> None:
        """Record one sample for each stage."""
        end = time.perf_counter()
        times.add("prepare", self.inferred_at - self.start - self.infer_seconds)
        times.add("infer", self.infer_seconds)
        times.add("finish", end - self.inferred_at)


def _face(tracked: TrackedFace, labels: LabelMap) -> Face | None:
    """Convert a track to a `Face`; None if it is entirely outside the picture."""
    box = _inside(tracked.head, *labels.shape)
    if box is None:
        return None
    return Face(
        box=box,
        face_box=_inside(tracked.face, *labels.shape) or box,
        track_id=tracked.track_id,
        score=tracked.score,
    )


def _inside(box: Box, height: int, width: int) -> Box | None:
    """Clip a box to the picture; None if it is outside."""
    left, right = max(0.0, box.left), min(float(width), box.right)
    top, bottom = max(0.0, box.top), min(float(height), box.bottom)
    if right <= left or bottom <= top:
        return None
    return Box(left=left, top=top, right=right, bottom=bottom)
