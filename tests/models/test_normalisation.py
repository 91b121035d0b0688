"""The one place where pixels are normalised."""

import numpy as np
import torch

from rtseg.models.normalisation import input_scaling, normalised

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def test_pixels_are_scaled_and_normalised_by_channel():
    images = np.random.default_rng(0).integers(0, 256, (2, 5, 4, 3), np.uint8)
    batch = normalised(torch.from_numpy(images), mean=MEAN, std=STD)
    expected = (images / 255 - np.array(MEAN)) / np.array(STD)
    assert batch.shape == (2, 3, 5, 4)
    np.testing.assert_allclose(batch.permute(0, 2, 3, 1).numpy(), expected, atol=2e-6)
    shift, scale = input_scaling(MEAN, STD)
    np.testing.assert_allclose((images - shift.numpy()) * scale.numpy(), expected, atol=2e-6)
