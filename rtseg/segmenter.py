"""`Segmenter`: a picture or a stream's frame in, its labels out."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

import numpy as np

from rtseg.backends import open_backend, open_beside
from rtseg.backends.base import Backend, Crops
from rtseg.checkpoint import Checkpoint
from rtseg.errors import ModelError, SettingError
from rtseg.faces import FaceFinder, FaceFollower, TrackedFace
from rtseg.faces.finder import SUGGESTED_SCORE, NetworkFinder
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
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
from rtseg.labels import LabelSet
from rtseg.postprocess import paste
from rtseg.postprocess.hair_beyond import hair_beyond, wider_crop
from rtseg.postprocess.holes import filled
from rtseg.postprocess.smoothing import CutDetector, TrackSmoother
from rtseg.postprocess.soft_masks import CropProbabilities, SoftMasks
from rtseg.settings import BackendName, DeviceName, FaceSettings, Precision
from rtseg.sources.pictures import Channels, as_image
from rtseg.timing import StageTimes
from rtseg.weights import finder_checkpoint_path

if TYPE_CHECKING:
    from rtseg.sources.pictures import Still

FinderChoice = FaceFinder | Backend | Checkpoint | Path | Literal["auto", "parsing"]
"""What finds faces: see `Segmenter`."""


_STILLS_TOGETHER = 4
"""Of a list; each holds the answers on some twenty crops while it is at work."""


class Segmenter:
    """Labels every pixel of pictures, or of the frames of one stream.

    A bare RGB array is a still: its result depends on nothing before it. A `Frame` belongs to the
    segmenter's stream: faces are followed and labels steadied from one to the next, and forgotten
    at a discontinuity, a cut or a change of size. Not to be called from several threads at once;
    several segmenters, one a stream, may share a backend.

    Args:
        model: a checkpoint, its path, or a shipped model's name ("face-parts", which it is if not
            given).
        backend: what runs the network: a backend that exists already, which is not closed here,
            or the name of one to open.
        device, precision, threads: as `open_backend` takes them, where one is opened.
        faces: how faces are found, followed and steadied.
        max_faces, smoothing, detect_every: these fields of `faces`, for short.
        finder: what finds faces, for models that see faces: `auto` is the built-in finder network
            on the same run-time where there is one, else `parsing`, the model itself; or a finder
            network's checkpoint, its path, or a backend that runs it, which is not closed here;
            or anything that is a `FaceFinder`.
        times: collects one sample a frame for the stages prepare, infer and finish.
        soft: keep each result's probabilities, so that `Segmentation.alpha` can make soft masks.

    Raises:
        SettingError: a value is not allowed, or both a model and a backend are given.
        ModelError: the model is missing or damaged, or sees faces without saying what a face is.
        BackendError: the device is missing or fails.
    """

    def __init__(
        self,
        model: Checkpoint | Path | str | None = None,
        *,
        backend: Backend | BackendName = "auto",
        device: DeviceName = "auto",
        precision: Precision = "auto",
        threads: int = 0,
        faces: FaceSettings | None = None,
        finder: FinderChoice = "auto",
        times: StageTimes | None = None,
        soft: bool = False,
        max_faces: int | None = None,
        smoothing: float | None = None,
        detect_every: int | None = None,
    ) -> None:
        self._owns_backend = not isinstance(backend, Backend)
        self._finder: FaceFinder | None = None
        self.finder_backend: Backend | None = None
        self._owns_finder_backend = False
        if isinstance(backend, Backend):
            if model is not None:
                raise SettingError("a segmenter takes a model or a backend; both were given")
            self.backend = backend
        else:
            self.backend = open_backend(
                backend, model=model, device=device, precision=precision, threads=threads
            )
        short: dict[str, Any] = {
            "max_faces": max_faces,
            "smoothing": smoothing,
            "detect_every": detect_every,
        }
        given = {name: value for name, value in short.items() if value is not None}
        self.faces = replace(faces or FaceSettings(), **given)
        self.times = times
        self.soft = soft
        described = self.backend.model
        if described.view == "face" and not described.label_set.face:
            self.close()
            raise ModelError(
                f"the model sees faces, but its label set {described.label_set.name!r} does not "
                "say which ids make up a face"
            )
        if described.view == "finder":
            self.close()
            raise ModelError(
                "the model finds faces and labels nothing; give it as the finder, and a model "
                "whose view is 'face' or 'frame' as the model"
            )
        if described.view == "face":
            self._choose_finder(finder)
        self._stream = _Stream(self._new_follower(), self.faces.smoothing)

    def _choose_finder(self, choice: FinderChoice) -> None:
        if choice == "auto":
            path = finder_checkpoint_path()
            self.finder_backend = open_beside(self.backend, path) if path is not None else None
            self._owns_finder_backend = self.finder_backend is not None
        elif isinstance(choice, Backend):
            self.finder_backend = choice
        elif isinstance(choice, (Checkpoint, Path)):
            self.finder_backend = open_beside(self.backend, choice)
            self._owns_finder_backend = self.finder_backend is not None
        elif choice != "parsing":
            if isinstance(choice, str):
                raise SettingError(
                    f"finder {choice!r} is unknown; allowed: auto, parsing, a checkpoint, its "
                    "Path, a backend or a FaceFinder"
                )
            self._finder = choice
        found = self.finder_backend
        if found is not None and found.model.view != "finder":
            self.close()
            raise ModelError(
                f"the finder's model has the view {found.model.view!r}; allowed: 'finder'"
            )

    @property
    def label_set(self) -> LabelSet:
        """What the label ids mean."""
        return self.backend.model.label_set

    @overload
    def __call__(self, picture: Still | Frame, *, channels: Channels = "rgb") -> Segmentation: ...

    @overload
    def __call__(
        self, picture: list[Still] | tuple[Still, ...], *, channels: Channels = "rgb"
    ) -> list[Segmentation]: ...

    def __call__(
        self,
        picture: Still | Frame | list[Still] | tuple[Still, ...],
        *,
        channels: Channels = "rgb",
    ) -> Segmentation | list[Segmentation]:
        """Label one picture, or several stills.

        **Arrays are RGB.** OpenCV's are BGR: `segmenter(cv2.imread(path), channels="bgr")`, or a
        red lip is taken for a blue one.

        Args:
            picture: a stream's next `Frame`, or a still of any size: uint8 (height, width, 3), a
                file's path, or a Pillow picture; or a list of stills, which share the
                network's batches.
            channels: the order of the arrays' colours.

        Returns:
            Labels at the picture's size, and the faces that they come from; of a list, a list.
            A still's result holds its picture, so that it can be plotted.

        Raises:
            SettingError: it is not such a picture.
            SourceError: a file cannot be read.
            BackendError: the device failed, or the backend is closed.
        """
        if isinstance(picture, Frame):
            if channels != "rgb":
                raise SettingError("a Frame is RGB; channels goes with stills")
            self._stream.begin(picture)
            return self._segment(picture.image, self._stream)
        if isinstance(picture, (list, tuple)):
            images = [as_image(still, channels=channels) for still in picture]
            return self._segment_stills(images)
        return self._segment_still(as_image(picture, channels=channels))

    def _segment_still(self, image: Image) -> Segmentation:
        found = self._segment(image, _Stream(self._new_follower(), 0.0))
        return replace(found, image=image)

    def _segment_stills(self, images: Sequence[Image]) -> list[Segmentation]:
        """Several stills, in rounds: what each of them asks of the network next is one batch.

        A still is a pure function of the network's answers, so one that lacks some is begun anew
        once they are there.
        """
        results: list[Segmentation] = []
        for first in range(0, len(images), _STILLS_TOGETHER):
            together = images[first : first + _STILLS_TOGETHER]
            answers = [_Answers() for _ in together]
            done: dict[int, Segmentation] = {}
            while len(done) < len(together):
                questions: list[tuple[_Answers, _AskedError]] = []
                for index, (image, known) in enumerate(zip(together, answers, strict=True)):
                    if index in done:
                        continue
                    try:
                        stream = _Stream(self._new_follower(), 0.0)
                        done[index] = replace(self._segment(image, stream, known), image=image)
                    except _AskedError as asked:
                        questions.append((known, asked))
                _answer(questions)
            results += [done[index] for index in range(len(together))]
        return results

    def _segment(
        self, image: Image, stream: _Stream, answers: _Answers | None = None
    ) -> Segmentation:
        run = _Run(self.backend, self.finder_backend, image, stream, answers)
        segmentation = run.frame_view() if self._sees_frames else run.face_view()
        if self.soft:
            segmentation = replace(segmentation, soft=run.soft_masks(segmentation.labels))
        if self.times is not None:
            run.report(self.times)
        return segmentation

    @property
    def _sees_frames(self) -> bool:
        return self.backend.model.view == "frame"

    def _new_follower(self) -> FaceFollower:
        described = self.backend.model
        aspect = described.input_width / described.input_height
        looks, stretch = aspect, described.fit == "stretch"
        finder: FaceFinder
        if self._finder is not None:
            finder = self._finder
        elif self.finder_backend is not None:
            finder = NetworkFinder(min_score=min(self.faces.min_score, SUGGESTED_SCORE))
            model = self.finder_backend.model
            looks, stretch = model.input_width / model.input_height, model.fit == "stretch"
        else:
            finder = ParsingFinder(described.label_set, aspect=aspect)
        return FaceFollower(
            described.label_set,
            self.faces,
            finder=finder,
            schedule=Schedule(
                every=self.faces.detect_every,
                aspect=looks,
                stretch=stretch,
                fine=self.finder_backend is None,
            ),
            aspect=aspect,
        )

    def reset(self) -> None:
        """Forget the stream so far: the next frame is a first one."""
        self._stream = _Stream(self._new_follower(), self.faces.smoothing)

    def close(self) -> None:
        """Close the backend, where this segmenter made it. May be called twice."""
        if self._owns_backend:
            self.backend.close()
        if self._owns_finder_backend and self.finder_backend is not None:
            self.finder_backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Stream:
    """What is remembered from frame to frame."""

    def __init__(self, follower: FaceFollower, smoothing: float) -> None:
        self.follower = follower
        self.smoothing = smoothing
        self.smoothers: dict[int, TrackSmoother] = {}
        self.is_live = False
        self.seconds = 0.0
        self._cuts = CutDetector()
        self._size: tuple[int, ...] = ()

    def begin(self, frame: Frame) -> None:
        """Note the next frame's time, and forget what does not hold any more."""
        self.is_live = True
        self.seconds = float(frame.pts_seconds)
        is_cut = self._cuts(frame.image)
        if frame.discontinuity or is_cut or frame.image.shape != self._size:
            self.follower.reset()
            self.smoothers.clear()
        self._size = frame.image.shape

    def smoothed(
        self, track_id: int, probabilities: Probabilities, *, picture: Image, crop: Crop
    ) -> Probabilities:
        """Through the track's own average."""
        if self.smoothing == 0:
            return probabilities
        smoother = self.smoothers.get(track_id)
        if smoother is None:
            smoother = self.smoothers[track_id] = TrackSmoother(self.smoothing)
        return smoother(probabilities, picture=picture, crop=crop, seconds=self.seconds)


class _Answers:
    """What the network said of the crops of one still so far."""

    def __init__(self) -> None:
        self.known: dict[tuple[int, Crop], tuple[Image, Probabilities]] = {}
        self.infer_seconds = 0.0


class _AskedError(Exception):
    """A still cannot go on without the network's answer on some crops."""

    def __init__(self, backend: Backend, crops: Sequence[Crop], pictures: Crops) -> None:
        super().__init__("what the network says of some crops is not known yet")
        self.backend = backend
        self.crops = tuple(crops)
        self.pictures = pictures


def _answer(questions: Sequence[tuple[_Answers, _AskedError]]) -> None:
    """Ask each network once about all that was asked of it."""
    backends = {id(asked.backend): asked.backend for _, asked in questions}
    for key, backend in backends.items():
        mine = [(known, asked) for known, asked in questions if asked.backend is backend]
        before = time.perf_counter()
        maps = list(backend.infer(np.concatenate([asked.pictures for _, asked in mine])))
        seconds = time.perf_counter() - before
        for known, asked in mine:
            known.infer_seconds += seconds * len(asked.crops) / sum(len(a.crops) for _, a in mine)
            for crop, picture in zip(asked.crops, asked.pictures, strict=True):
                # a copy, so that no result keeps the whole batch
                known.known[key, crop] = picture, maps.pop(0).copy()


class _Run:
    """One picture on its way through: its crops, and where the time went."""

    def __init__(
        self,
        backend: Backend,
        finder_backend: Backend | None,
        image: Image,
        stream: _Stream,
        answers: _Answers | None = None,
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
        self.found = self.start

    def infer_crops(self, crops: Sequence[Crop]) -> list[Probabilities]:
        """Probabilities of parts of the picture, one map a crop."""
        pictures, maps = self._infer(self.backend, crops)
        self.pictures.update(zip(crops, pictures, strict=True))
        return maps

    def infer_finder(self, crops: Sequence[Crop]) -> list[Probabilities]:
        """What the finder's network says of parts of the picture, one map a crop."""
        if self.finder_backend is None:
            return self.infer_crops(crops)
        return self._infer(self.finder_backend, crops)[1]

    def _infer(self, backend: Backend, crops: Sequence[Crop]) -> tuple[Crops, list[Probabilities]]:
        known = None if self.answers is None else self.answers.known
        if known is not None and all((id(backend), crop) in known for crop in crops):
            found = [known[id(backend), crop] for crop in crops]
            return np.array([picture for picture, _ in found]), [map_ for _, map_ in found]
        model = backend.model
        pictures: Crops = np.empty((len(crops), model.input_height, model.input_width, 3), np.uint8)
        for picture, crop in zip(pictures, crops, strict=True):
            cut(self.image, crop, out=picture)
        if not len(crops):
            return pictures, []
        if known is not None:
            raise _AskedError(backend, crops, pictures)
        before = time.perf_counter()
        maps = backend.infer(pictures)
        self.infer_seconds += time.perf_counter() - before
        return pictures, list(maps)

    def frame_view(self) -> Segmentation:
        """The whole picture at once."""
        model = self.backend.model
        height, width = self.image.shape[:2]
        whole = tile_picture(
            height,
            width,
            aspect=model.input_width / model.input_height,
            stretch=model.fit == "stretch",
        ).whole
        (probabilities,) = self.infer_crops([whole])
        self.found = time.perf_counter()
        probabilities = self.stream.smoothed(
            0, probabilities, picture=self.pictures[whole], crop=whole
        )
        labels = np.zeros((height, width), np.uint8)
        paste(labels, probabilities, whole, transparent=None)
        self.labelled.append(CropProbabilities(probabilities=probabilities, crop=whole, track_id=0))
        return Segmentation(labels=labels, label_set=model.label_set)

    def face_view(self) -> Segmentation:
        """Face by face."""
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
        self.found = time.perf_counter()
        present = {face.track_id for face in tracked}
        for track_id in [known for known in stream.smoothers if abs(known) not in present]:
            del stream.smoothers[track_id]
        background = label_set.background
        labels = np.full((height, width), background or 0, np.uint8)
        self._paste_hair_beyond(labels, tracked)
        for face in reversed(tracked):  # the largest last: where faces overlap, it wins
            probabilities = stream.smoothed(
                face.track_id, face.probabilities, picture=self.pictures[face.crop], crop=face.crop
            )
            probabilities = filled(probabilities, label_set)
            if face.foreign is not None and background is not None:
                probabilities = probabilities.copy()
                probabilities[face.foreign] = np.eye(len(label_set), dtype=np.float32)[background]
            crop = self._labelled(face.crop)
            paste(labels, probabilities, crop, transparent=background)
            self.labelled.append(
                CropProbabilities(probabilities=probabilities, crop=crop, track_id=face.track_id)
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

    def _paste_hair_beyond(self, labels: LabelMap, tracked: Sequence[TrackedFace]) -> None:
        """Write the hair that goes on beyond the crops of its faces, which are written over it."""
        label_set = self.backend.model.label_set
        height, width = labels.shape
        wider: list[tuple[TrackedFace, Crop]] = []
        for face in tracked:
            crop = wider_crop(face.probabilities, face.crop, label_set, height=height, width=width)
            if crop is not None:
                wider.append((face, crop))
        maps = self.infer_crops([crop for _, crop in wider])
        for (face, crop), probabilities in zip(wider, maps, strict=True):
            # a smoother of its own: track ids count from 1
            steadied = self.stream.smoothed(
                -face.track_id, probabilities, picture=self.pictures[crop], crop=crop
            )
            others = [other.head for other in tracked if other is not face]
            hair = hair_beyond(steadied, crop, face, label_set, others=others)
            if hair is None:
                continue
            crop = self._labelled(crop)
            paste(labels, hair, crop, transparent=label_set.background)
            self.labelled.append(
                CropProbabilities(probabilities=hair, crop=crop, track_id=face.track_id)
            )

    def soft_masks(self, labels: LabelMap) -> SoftMasks:
        """What soft masks of this picture are made from."""
        return SoftMasks(
            self.labelled, labels=labels, background=self.backend.model.label_set.background
        )

    def _labelled(self, crop: Crop) -> Crop:
        """What the labels of a crop lie on: the crop, but for the model's own offset."""
        model = self.backend.model
        offset = model.label_offset
        if not offset:
            return crop
        return crop.moved(-offset / model.input_width, -offset / model.input_height)

    def report(self, times: StageTimes) -> None:
        """One sample a stage."""
        end = time.perf_counter()
        times.add("prepare", self.found - self.start - self.infer_seconds)
        times.add("infer", self.infer_seconds)
        times.add("finish", end - self.found)


def _face(tracked: TrackedFace, labels: LabelMap) -> Face | None:
    """What the caller sees of a track; None where all of it lies outside the picture."""
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
    """What of a box lies in the picture; None where nothing does."""
    left, right = max(0.0, box.left), min(float(width), box.right)
    top, bottom = max(0.0, box.top), min(float(height), box.bottom)
    if right <= left or bottom <= top:
        return None
    return Box(left=left, top=top, right=right, bottom=bottom)
