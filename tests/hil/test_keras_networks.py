"""Keras models with Bidirectional, go_backwards, Masking, merges and reshapes, from the file to the verdict."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_networks
from harness.errors import InputsRefused
from harness.oracle.runtime import KERAS_2, import_keras, quiet
from harness.validation import Validation
from keras_models import save_model

Validate = Callable[..., Validation]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The file of a model by its name, made once."""
    made: dict[str, Path] = {}

    def path_of(name: str) -> Path:
        if name not in made:
            made[name] = save_model(keras_networks.MODELS[name](import_keras()), tmp_path_factory.mktemp("models"))
        return made[name]

    return path_of


@pytest.mark.parametrize("name", keras_networks.MODELS)
def test_models(validate: Validate, models: Callable[[str], Path], name: str) -> None:
    assert validate(models(name), batch=2, steps=keras_networks.STEPS)


@pytest.mark.parametrize(
    "name", ["backwards", "tagger", "bidirectional concat last", "two layers in one", "flattened", "pooled"]
)
def test_models_with_a_mask(validate: Validate, models: Callable[[str], Path], tmp_path: Path, name: str) -> None:
    generator = np.random.default_rng(6)
    mask = generator.random((3, keras_networks.STEPS)) < 0.6
    mask[0, 0], mask[0, -1], mask[1, 0], mask[1, -1], mask[2] = True, False, False, True, False
    x = generator.standard_normal((3, keras_networks.STEPS, 3)).astype(np.float32)
    x[~mask] = np.nan  # what is masked must not leak
    np.savez(tmp_path / "x.npz", x=x, mask=mask)
    assert validate(models(name), tmp_path / "x.npz")


def test_a_masking_layer_makes_the_mask(validate: Validate, models: Callable[[str], Path], tmp_path: Path) -> None:
    x = np.random.default_rng(7).standard_normal((3, 6, 3)).astype(np.float32)
    x[0, 4:] = x[1, :2] = x[2] = -1.0
    np.savez(tmp_path / "x.npz", x=x)
    run = validate(models("masking"), tmp_path / "x.npz")
    assert run
    assert (run.got["bi.backward.h"][0, :2] == 0).all(), "the backward half begins with the masked steps"
    assert (run.got["bi.forward.h"][2] == 0).all()
    np.savez(tmp_path / "x.npz", x=x, mask=np.ones((3, 6), dtype=bool))
    with pytest.raises(InputsRefused, match="makes its own mask"):
        validate(models("masking"), tmp_path / "x.npz")


def test_a_mask_that_a_layer_would_compute_with_is_refused(
    validate: Validate, models: Callable[[str], Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "x.npz", x=np.zeros((1, 6, 3), np.float32), mask=np.ones((1, 6), dtype=bool))
    with pytest.raises(InputsRefused, match="leaves masked steps out"):
        validate(models("merged"), tmp_path / "x.npz")


def test_files_of_keras_2(validate: Validate, tmp_path: Path) -> None:
    for name in ("tagger", "bidirectional encoder"):
        model = keras_networks.MODELS[name](import_keras(KERAS_2))
        path = tmp_path / "model.h5"
        with quiet():
            model.save(path)
        run = validate(path, batch=2, steps=5)
        assert run
        assert run.expected is not None
        assert run.expected.oracle == KERAS_2


def test_initial_states_of_the_halves(validate: Validate, models: Callable[[str], Path], tmp_path: Path) -> None:
    generator = np.random.default_rng(8)
    arrays: dict[str, Any] = {"x": generator.normal(size=(2, 6, 3))}
    for half in ("forward", "backward"):
        arrays.update({f"bi.{half}.{state}": generator.normal(size=(2, 4)) for state in ("h0", "c0")})
    np.savez(tmp_path / "x.npz", **arrays)
    assert validate(models("bidirectional sum sequences"), tmp_path / "x.npz")


def test_sequences_of_different_lengths(validate: Validate, models: Callable[[str], Path], tmp_path: Path) -> None:
    generator = np.random.default_rng(9)
    source, target = generator.normal(size=(2, 4, 3)), generator.normal(size=(2, 7, 2))
    np.savez(tmp_path / "x.npz", source=source, target=target)
    run = validate(models("translator"), tmp_path / "x.npz")
    assert run
    assert run.got["encoder.h"].shape == (2, 4, 4)
    assert run.got["output"].shape == (2, 7, 5)


def test_joined_sequences_have_one_length(validate: Validate, models: Callable[[str], Path], tmp_path: Path) -> None:
    generator = np.random.default_rng(9)
    shapes = {"x": (2, 4, 3), "same": (2, 5, 2), "longer": (2, 9, 2), "vector": (2, 4)}
    arrays: dict[str, Any] = {name: generator.normal(size=shape) for name, shape in shapes.items()}
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputsRefused, match=r"'same' in .* has the shape \(2, 5, 2\)"):
        validate(models("several inputs"), tmp_path / "x.npz")
    del arrays["same"]
    np.savez(tmp_path / "x.npz", **arrays)
    with pytest.raises(InputsRefused, match="has no array 'same'"):
        validate(models("several inputs"), tmp_path / "x.npz")


def test_a_stateful_bidirectional(validate: Validate, tmp_path: Path) -> None:
    """Each half goes on from where it ended itself, whichever end that was."""
    keras = import_keras()
    layers = keras.layers
    inner = layers.LSTM(3, return_sequences=True, stateful=True)
    model = keras.Sequential([keras.Input(batch_shape=(2, 4, 3)), layers.Bidirectional(inner, name="bi")], name="calls")
    x = np.random.default_rng(10).standard_normal((3, 2, 4, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_calls=x, reset_before=np.array([False, False, True]))
    run = validate(save_model(model, tmp_path), tmp_path / "x.npz")
    assert run
    assert run.got["bi.backward.h"].shape == (3, 2, 4, 3)
