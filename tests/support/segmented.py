"""A segmenter over painted pictures."""

from rtseg.segmenter import Segmenter
from rtseg.settings import FaceSettings
from tests.support.painted import PaintedBackend


def segmenter(*, smoothing=0.0, times=None, **options):
    return Segmenter(
        backend=PaintedBackend(input_height=128, input_width=128),
        faces=FaceSettings(smoothing=smoothing, **options),
        times=times,
    )


def agreement(labels, truth):
    """Intersection over union of all that is not background."""
    same = (labels == truth) & (truth > 0)
    return same.sum() / max(1, ((labels > 0) | (truth > 0)).sum())
