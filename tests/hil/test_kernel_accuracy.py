"""Each kernel is about as near to float64 as Keras is. docs/ACCURACY.md has more shapes and weight sets."""

from __future__ import annotations

import numpy as np
import pytest

from harness.accuracy.kernels import distances
from harness.accuracy.models import fresh_model
from harness.device import Device
from harness.model.inputs import random_inputs

WEIGHT_SETS = 6


@pytest.mark.hil_targets("native")
def test_mean_errors_of_h_and_c_against_those_of_keras(device: Device) -> None:
    measured = []
    for seed in range(WEIGHT_SETS):
        loaded = fresh_model(28, 40, seed)
        measured.append(distances(device, loaded, random_inputs(loaded.spec, 4, 28, seed)))
    keras, *kernels = np.mean(measured, axis=0)
    for errors in kernels:
        assert (errors > 1e-8).all(), "no float32 program is better"
        assert (errors / keras).max() <= 1.5
