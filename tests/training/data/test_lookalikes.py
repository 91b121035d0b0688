"""What a finder takes for faces becomes its training material."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from rtseg.checkpoint import Checkpoint
from rtseg.faces.centres import FACE_CENTRES, STRIDE
from training.data import lookalikes as lookalikes_module
from training.data.lookalikes import lookalikes
from training.recipes.face_finder import RECIPE


class FindsGreen(nn.Module):
    """Scores each cell by how green it is; every face is 64 pixels high and wide."""

    def forward(self, images):
        cells = nn.functional.avg_pool2d(images, STRIDE)
        green = cells[:, 1] - torch.maximum(cells[:, 0], cells[:, 2])
        logits = torch.full((len(images), len(FACE_CENTRES), *green.shape[1:]), -9.0)
        logits[:, 0] = torch.where(green > 0.8, -4.0, 4.0)
        logits[:, FACE_CENTRES.names.index("size-7")] = torch.where(green > 0.8, 2.0, -9.0)
        logits[:, FACE_CENTRES.names.index("shape-2")] = torch.where(green > 0.8, 2.0, -9.0)
        return logits


@pytest.fixture
def finder(monkeypatch):
    monkeypatch.setattr(lookalikes_module, "create_model", lambda _: FindsGreen())
    return Checkpoint(spec=dataclasses.replace(RECIPE.spec, provenance={}), tensors={})


def picture(*, green_at=None):
    image = np.full((224, 384, 3), (120, 110, 125), np.uint8)
    if green_at is not None:
        x, y = green_at
        image[y - 8 : y + 8, x - 8 : x + 8] = (20, 230, 30)
    return image


def test_only_what_the_finder_proposes_becomes_a_lookalike(finder):
    things = lookalikes(finder, [picture(), picture(green_at=(200, 104)), picture()])
    assert things
    for thing in things:
        assert np.hypot(*(thing.outline.mean(0) - (200, 104))) < 24
        assert not thing.can_be_cut_out


def test_too_small_places_are_left_out(finder, monkeypatch):
    monkeypatch.setattr(lookalikes_module, "_LEAST_SIZE", 1000.0)
    assert lookalikes(finder, [picture(green_at=(200, 104))]) == []
