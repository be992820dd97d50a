"""The model under test."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model file. A real project would name the one that its training has left: `return Path("model.keras")`."""
    import keras

    keras.utils.set_random_seed(1)
    layers = [keras.Input((12, 3)), keras.layers.LSTM(8, name="memory"), keras.layers.Dense(2, name="head")]
    path = tmp_path_factory.mktemp("model") / "model.keras"
    keras.Sequential(layers).save(path)
    return path
