"""`Segmenter` labels pictures and the frames of streams."""

from __future__ import annotations

import time
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
from rtseg.faces.changes import SearchedRegions
from rtseg.faces.finder import SUGGESTED_SCORE, NetworkFinder
from rtseg.faces.parsing_finder import ParsingFinder
from rtseg.faces.schedule import Schedule
from rtseg.faces.second_finder import SecondFinder
from rtseg.frames import (
    Frame,
    Image,
    Segmentation,
)
from rtseg.labels import LabelSet
from rtseg.pending import PendingSegmentation
from rtseg.picture_pass import (
    KnownResults,
    PicturePass,
    ResultsNeededError,
    StreamMemory,
    infer_needed,
)
from rtseg.settings import BackendName, DeviceName, FaceSettings, Precision
from rtseg.sources.pictures import Channels, as_image
from rtseg.timing import StageTimes
from rtseg.weights import finder_checkpoint_path

if TYPE_CHECKING:
    from rtseg.sources.pictures import Still

FinderChoice = FaceFinder | Backend | Checkpoint | Path | Literal["auto", "parsing"]
"""The choice of face finder; see `Segmenter`."""


_LONGEST_PERIODS = 6
"""Periods of `detect_every` after which a region is searched again even if nothing changes in it.
"""

_STILLS_TOGETHER = 4
"""Stills of a list processed at a time; each keeps the results of some twenty crops."""


class Segmenter:
    """Labels every pixel of still pictures or of one stream's frames.

    An RGB array is a still: its result does not depend on earlier calls. A `Frame` belongs to the
    segmenter's stream: faces are tracked and labels smoothed from frame to frame, until a
    discontinuity, a cut or a change of size. Must not be called from several threads at once, but
    several segmenters, one per stream, can share a backend.

    Args:
        model: a checkpoint, its path, or a shipped model's name; by default "face-parts".
        backend: an open backend, which is not closed by the segmenter, or the name of one to open.
        device, precision, threads: as for `open_backend`, if one is opened.
        faces: how faces are detected, tracked and smoothed.
        max_faces, smoothing, detect_every: shortcuts for these fields of `faces`.
        finder: the face finder, for models that process faces. `auto` is the built-in finder
            network on the same run-time if there is one, otherwise `parsing`, the model itself.
            Alternatively a finder network's checkpoint, its path, an open backend that runs it, or
            any `FaceFinder`.
        times: collects one sample per frame for the stages prepare, infer and finish.
        soft: keep each result's probabilities, for `Segmentation.alpha`.

    Raises:
        SettingError: a value is not allowed, or both a model and a backend are given.
        ModelError: the model is missing or damaged, or processes faces but does not define which
            classes make up a face.
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
                f"the model processes faces, but its label set {described.label_set.name!r} does "
                "not define which ids make up a face"
            )
        if described.view == "finder":
            self.close()
            raise ModelError(
                "the model finds faces but labels nothing; give it as the finder, and a model "
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
        backend = self.finder_backend
        if backend is not None and backend.model.view != "finder":
            self.close()
            raise ModelError(
                f"the finder's model has the view {backend.model.view!r}; allowed: 'finder'"
            )

    @property
    def label_set(self) -> LabelSet:
        """The meaning of the label ids."""
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

        **Arrays are RGB.** For OpenCV's BGR, use `segmenter(cv2.imread(path), channels="bgr")`.

        Args:
            picture: a stream's next `Frame`, or a still of any size: uint8 (height, width, 3), a
                file's path, or a Pillow picture; or a list of stills, which share batches.
            channels: the channel order of arrays.

        Returns:
            Labels at the picture's size and the faces found, or a list of results for a list. A
            still's result includes its picture, so that it can be plotted.

        Raises:
            SettingError: the picture is invalid.
            SourceError: a file cannot be read.
            BackendError: the device failed, or the backend is closed.
        """
        if isinstance(picture, Frame):
            if channels != "rgb":
                raise SettingError("a Frame is RGB; channels applies to stills only")
            self._stream.begin(picture)
            return self._segment(picture.image, self._stream)
        if isinstance(picture, (list, tuple)):
            images = [as_image(still, channels=channels) for still in picture]
            return self._segment_stills(images)
        return self._segment_still(as_image(picture, channels=channels))

    def _segment_still(self, image: Image) -> Segmentation:
        result = self._segment(image, StreamMemory(self._new_follower(), 0.0))
        return replace(result, image=image)

    def _segment_stills(self, images: Sequence[Image]) -> list[Segmentation]:
        """Segment several stills in rounds, batching what each needs from the network next.

        A still's result is a pure function of the network's results, so a still that lacks some is
        restarted once they are available.
        """
        results: list[Segmentation] = []
        for first in range(0, len(images), _STILLS_TOGETHER):
            together = images[first : first + _STILLS_TOGETHER]
            known = [KnownResults() for _ in together]
            done: dict[int, Segmentation] = {}
            while len(done) < len(together):
                needed: list[tuple[KnownResults, ResultsNeededError]] = []
                for index, (image, its_results) in enumerate(zip(together, known, strict=True)):
                    if index in done:
                        continue
                    try:
                        stream = StreamMemory(self._new_follower(), 0.0)
                        done[index] = replace(
                            self._segment(image, stream, its_results), image=image
                        )
                    except ResultsNeededError as request:
                        needed.append((its_results, request))
                infer_needed(needed)
            results += [done[index] for index in range(len(together))]
        return results

    def begin(self, frame: Frame) -> PendingSegmentation:
        """Run the networks on a stream's next frame, as a call does, but do not make labels yet.

        Another thread can finish it meanwhile. A frame that nobody needs may be left unfinished.

        Args:
            frame: as for a call.

        Raises:
            BackendError: as for a call.
        """
        self._stream.begin(frame)
        return self._begin(frame.image, self._stream)

    def _segment(
        self, image: Image, stream: StreamMemory, known: KnownResults | None = None
    ) -> Segmentation:
        return self._begin(image, stream, known).finish()

    def _begin(
        self, image: Image, stream: StreamMemory, known: KnownResults | None = None
    ) -> PendingSegmentation:
        run = PicturePass(self.backend, self.finder_backend, image, stream, known)
        make_labels = run.frame_view() if self._sees_frames else run.face_view()
        soft, times = self.soft, self.times

        def finish() -> Segmentation:
            start = time.perf_counter()
            segmentation = make_labels()
            if soft:
                segmentation = replace(segmentation, soft=run.soft_masks(segmentation.labels))
            if times is not None:
                run.report(times, finish_seconds=time.perf_counter() - start)
            return segmentation

        return PendingSegmentation(finish=finish, size_bytes=run.size_bytes)

    @property
    def _sees_frames(self) -> bool:
        return self.backend.model.view == "frame"

    def _new_follower(self) -> FaceFollower:
        described = self.backend.model
        aspect = described.input_width / described.input_height
        search_aspect, stretch = aspect, described.fit == "stretch"
        finder: FaceFinder
        searched: SearchedRegions | None = None
        second: SecondFinder | None = None
        if self._finder is not None:
            finder = self._finder
        elif self.finder_backend is not None:
            model = self.finder_backend.model
            finder = NetworkFinder(
                min_score=min(self.faces.min_score, SUGGESTED_SCORE),
                calibration=model.calibration,
            )
            searched = SearchedRegions(longest=_LONGEST_PERIODS * self.faces.detect_every)
            second = SecondFinder(
                ParsingFinder(described.label_set, aspect=aspect),
                Schedule(every=2 * self.faces.detect_every, aspect=search_aspect, stretch=stretch),
            )
            search_aspect, stretch = model.input_width / model.input_height, model.fit == "stretch"
        else:
            finder = ParsingFinder(described.label_set, aspect=aspect)
        return FaceFollower(
            described.label_set,
            self.faces,
            finder=finder,
            schedule=Schedule(
                every=self.faces.detect_every,
                aspect=search_aspect,
                stretch=stretch,
                fine=self.finder_backend is None,
            ),
            searched=searched,
            second=second,
            aspect=aspect,
        )

    def warm_up(self) -> None:
        """Prepare the networks for every batch size now, if they run on a GPU.

        Otherwise the first frame with two faces waits for that, and the first with more than two.

        Raises:
            BackendError: as for a call.
        """
        for backend in (self.backend, self.finder_backend):
            if backend is not None and backend.device.startswith("cuda"):
                backend.warm_up()

    def reset(self) -> None:
        """Forget the stream, so that the next frame counts as the first."""
        self._stream = StreamMemory(self._new_follower(), self.faces.smoothing)

    def close(self) -> None:
        """Close the backend if this segmenter opened it. May be called twice."""
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
