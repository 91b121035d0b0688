"""`Segmenter`: a picture or a stream's frame in, its labels out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from rtseg.backends import open_backend, open_beside
from rtseg.backends.base import Backend
from rtseg.checkpoint import Checkpoint
from rtseg.errors import ModelError, SettingError
from rtseg.faces import FaceFinder, FaceFollower
from rtseg.faces.finder import SUGGESTED_SCORE, NetworkFinder
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
from rtseg.frames import (
    Frame,
    Image,
    Segmentation,
)
from rtseg.labels import LabelSet
from rtseg.picture_pass import Answers, AskedError, PicturePass, StreamMemory, answer_all
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
        self._stream = StreamMemory(self._new_follower(), self.faces.smoothing)

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
        found = self._segment(image, StreamMemory(self._new_follower(), 0.0))
        return replace(found, image=image)

    def _segment_stills(self, images: Sequence[Image]) -> list[Segmentation]:
        """Several stills, in rounds: what each of them asks of the network next is one batch.

        A still is a pure function of the network's answers, so one that lacks some is begun anew
        once they are there.
        """
        results: list[Segmentation] = []
        for first in range(0, len(images), _STILLS_TOGETHER):
            together = images[first : first + _STILLS_TOGETHER]
            answers = [Answers() for _ in together]
            done: dict[int, Segmentation] = {}
            while len(done) < len(together):
                questions: list[tuple[Answers, AskedError]] = []
                for index, (image, known) in enumerate(zip(together, answers, strict=True)):
                    if index in done:
                        continue
                    try:
                        stream = StreamMemory(self._new_follower(), 0.0)
                        done[index] = replace(self._segment(image, stream, known), image=image)
                    except AskedError as asked:
                        questions.append((known, asked))
                answer_all(questions)
            results += [done[index] for index in range(len(together))]
        return results

    def _segment(
        self, image: Image, stream: StreamMemory, answers: Answers | None = None
    ) -> Segmentation:
        run = PicturePass(self.backend, self.finder_backend, image, stream, answers)
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
        self._stream = StreamMemory(self._new_follower(), self.faces.smoothing)

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
