"""What holds for all tests of the oracle."""

from __future__ import annotations

import sys

import pytest


@pytest.fixture(autouse=True)
def same_weights_in_every_run() -> None:
    """Keras draws the weights of new layers; by their size float32 is more or less far from float64."""
    for name in ("keras", "tf_keras"):
        if name in sys.modules:
            sys.modules[name].utils.set_random_seed(1)
