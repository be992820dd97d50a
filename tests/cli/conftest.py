"""Models for the command line's tests."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.oracle.runtime import import_keras
from keras_models import save_model, save_spec


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small LSTM that leaves its number of steps open."""
    return save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="session")
def gru_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model with a layer that the device does not have."""
    keras = import_keras()
    return save_model(
        keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3, name="memory")], name="gru"),
        tmp_path_factory.mktemp("gru"),
    )


@pytest.fixture(scope="session")
def flash_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A classifier of rows of an image that fits the flash store and not the RAM."""
    return save_spec(seeds.rows_of_an_image(), tmp_path_factory.mktemp("flash"))


@pytest.fixture(scope="session")
def large_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that no F446 holds, in RAM or in flash."""
    return save_spec(seeds.random_lstm(64, 150), tmp_path_factory.mktemp("large"))


@pytest.fixture(scope="session")
def ill_conditioned_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """No bounded activation and weights above 1: rounding errors grow with every step."""

    from harness.protocol.wire import Activation

    node = seeds.random_lstm_node(3, 5, scale=8.0, activation=Activation.LINEAR)
    return save_spec(replace(seeds.random_lstm(3, 5), name="growing", nodes=(node,)), tmp_path_factory.mktemp("ill"))


@pytest.fixture(scope="session")
def weight_sets(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Five weight sets of one network."""
    folder = tmp_path_factory.mktemp("models")
    node = seeds.random_lstm_node(3, 5)
    spec = seeds.random_lstm(3, 5)
    nodes = [replace(node, kernel=node.kernel * np.float32(1 + number / 10)) for number in range(5)]
    return [save_spec(replace(spec, name=f"w{number}", nodes=(each,)), folder) for number, each in enumerate(nodes)]
