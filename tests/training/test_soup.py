"""The mean of several runs' weights."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from rtseg.errors import SettingError
from tests.support.exported import FINE, tiny_checkpoint
from training.soup import averaged


def test_the_mean_of_each_tensor_and_the_first_ones_counters():
    first = tiny_checkpoint()
    second = dataclasses.replace(
        first,
        tensors={
            name: value * 3 + 1 if value.dtype.kind == "f" else value + 5
            for name, value in first.tensors.items()
        },
    )
    found = averaged([first, second])
    assert found.keys() == first.tensors.keys()
    kinds = set()
    for name, value in first.tensors.items():
        kinds.add(value.dtype.kind)
        expected = 2 * value.astype(np.float32) + 0.5 if value.dtype.kind == "f" else value
        np.testing.assert_allclose(found[name], expected, rtol=1e-2, atol=1e-2)
    assert kinds == {"f", "i"}


def test_different_networks_and_none_have_no_mean():
    with pytest.raises(SettingError, match="different networks"):
        averaged([tiny_checkpoint(), tiny_checkpoint(FINE)])
    with pytest.raises(SettingError, match="nothing to average"):
        averaged([])
