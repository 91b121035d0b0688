"""What a segmenter takes from its backend and model, and who closes them."""

import numpy as np
import pytest

from rtseg.checkpoint import Checkpoint, ModelSpec
from rtseg.errors import BackendError, ModelError, SettingError
from rtseg.frames import Frame
from rtseg.labels import HELEN, LabelSet
from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from rtseg.timing import StageTimes
from tests.support.painted import COLOURS, PaintedBackend, PaintedOnGpu, frame, scene
from tests.support.segmented import agreement, segmenter


class TestWholeFrames:
    def backend(self, **changes):
        return PaintedBackend(view="frame", input_height=64, input_width=128, **changes)

    @pytest.mark.parametrize("fit", ["letterbox", "stretch"])
    @pytest.mark.parametrize("size", [(64, 128), (200, 200), (90, 400), (300, 100)])
    def test_the_whole_picture_is_labelled_once(self, fit, size):
        labels = np.zeros(size, np.uint8)
        labels[: size[0] // 2, : size[1] // 2] = 1
        labels[size[0] // 2 :] = 6
        backend = self.backend(fit=fit)
        result = Segmenter(backend=backend)(COLOURS[labels])
        assert (result.labels == labels).mean() > 0.95
        assert result.faces == ()
        assert backend.batches == [1]

    def test_a_label_set_without_background_is_fine(self):
        street = LabelSet(
            name="street",
            names=HELEN.names,
            colours=HELEN.colours,
            background=None,
        )
        labels = np.full((64, 128), 3, np.uint8)
        result = Segmenter(backend=self.backend(label_set=street))(COLOURS[labels])
        assert (result.labels == 3).all()

    def test_smoothing_is_kept(self):
        backend = self.backend()
        stream = Segmenter(backend=backend, faces=FaceSettings(smoothing=1.0))
        image = COLOURS[np.full((64, 128), 1, np.uint8)]
        for index in range(3):
            stream(frame(image, index))
        assert 0 in stream._stream.smoothers

    def test_a_break_is_one_for_frames_that_are_finished_later(self):
        stream = Segmenter(backend=self.backend(), faces=FaceSettings(smoothing=1.0))
        image = COLOURS[np.full((64, 128), 1, np.uint8)]
        unfinished, smoothers = [], []
        for index in range(5):
            unfinished.append(stream.begin(frame(image, index, discontinuity=index == 3)))
            smoothers.append(stream._stream.smoothers[0])
        for each in unfinished:
            each.finish()
        first, *_, last = smoothers
        assert smoothers == [first, first, first, last, last]
        assert first is not last


def test_a_face_model_must_say_what_a_face_is():
    nameless = LabelSet(name="odd", names=HELEN.names, colours=HELEN.colours)
    with pytest.raises(ModelError, match="does not define which ids make up a face"):
        Segmenter(backend=PaintedBackend(label_set=nameless))


def test_one_sample_a_stage_and_frame():
    times = StageTimes()
    stream = segmenter(times=times)
    image, _ = scene(180, 320, (160, 90, 140))
    for index in range(5):
        stream(frame(image, index))
    stream(image)
    for stage in ("prepare", "infer", "finish"):
        assert times.percentiles(stage).count == 6
        assert times.percentiles(stage).p50 > 0


def test_two_streams_share_one_backend_and_neither_closes_it():
    backend = PaintedBackend(input_height=128, input_width=128)
    image, truth = scene(180, 320, (160, 90, 140))
    with Segmenter(backend=backend) as first, Segmenter(backend=backend) as second:
        first(frame(image, 0))
        first.close()
        result = second(frame(image, 0))
        assert [face.track_id for face in result.faces] == [1]
    assert not backend.is_closed
    assert agreement(result.labels, truth) > 0.9


def test_a_segmenter_closes_the_backend_that_it_made(tmp_path):
    from rtseg.checkpoint import write_checkpoint
    from rtseg.models import build_model

    options = {"stem": 4, "widths": [4, 4, 4, 4], "depths": [1, 1, 1, 1], "pyramid": 4}
    network = build_model("residual-pyramid", classes=11, options=options)
    path = tmp_path / "tiny.safetensors"
    write_checkpoint(
        Checkpoint(
            spec=ModelSpec(
                architecture="residual-pyramid",
                options=options,
                label_set=HELEN,
                input_height=64,
                input_width=64,
            ),
            tensors={name: tensor.numpy() for name, tensor in network.state_dict().items()},
        ),
        path,
    )
    with Segmenter(path, precision="fp32", device="cpu", threads=1) as made:
        assert made.label_set == HELEN
        assert made(np.zeros((40, 60, 3), np.uint8)).labels.shape == (40, 60)
    made.close()
    with pytest.raises(BackendError, match="closed"):
        made(np.zeros((40, 60, 3), np.uint8))


def test_networks_are_prepared_where_they_run_on_a_gpu(monkeypatch):
    monkeypatch.setattr(PaintedBackend, "warm_up", lambda _self: pytest.fail("on a processor"))
    backend, finder = PaintedOnGpu(), PaintedOnGpu(view="finder")
    Segmenter(backend=backend, finder=finder).warm_up()
    Segmenter(backend=PaintedBackend(), finder=finder).warm_up()
    Segmenter(backend=backend, finder="parsing").warm_up()
    assert (backend.warm_ups, finder.warm_ups) == (2, 2)


def test_model_and_backend_together_are_refused():
    with pytest.raises(SettingError, match="a model or a backend"):
        Segmenter("model.safetensors", backend=PaintedBackend())


def test_a_failing_backend_is_not_hidden():
    stream = segmenter()
    stream.backend.close()
    with pytest.raises(BackendError):
        stream(np.zeros((40, 60, 3), np.uint8))
    with pytest.raises(BackendError):
        stream(Frame(image=np.zeros((4, 4, 3), np.uint8), index=0, pts=0, time_base=1))


def test_a_list_of_stills_shares_batches_and_each_is_as_alone():
    stills = [
        scene(180, 320, (160, 90, 120))[0],
        scene(240, 240)[0],  # nobody
        scene(360, 640, (180, 180, 140), (470, 200, 200))[0],
        scene(180, 320, (100, 90, 90))[0],
        scene(180, 320, (200, 90, 60))[0],
    ]
    one_by_one = segmenter()
    expected = [one_by_one(still) for still in stills]
    together = segmenter(times=StageTimes())
    results = together(stills)
    for result, other in zip(results, expected, strict=True):
        assert (result.labels == other.labels).all()
        assert result.faces == other.faces
    alone, shared = one_by_one.backend.batches, together.backend.batches
    assert sum(shared) <= sum(alone)
    assert len(shared) < 0.6 * len(alone)
    assert together.times.percentiles("infer").count == len(stills)
