"""Models that are no chain, from the file to the verdict, on every target."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.oracle.runtime import import_keras
from harness.validation import Validation
from keras_graphs import decoder, encoder_decoder, stateful, surrounded, two_heads
from keras_models import save_model

Validate = Callable[..., Validation]


def names(run: Validation) -> list[str]:
    return [result.name for result in run.results]


def test_one_lstm_read_by_two_heads(validate: Validate, tmp_path: Path) -> None:
    path = save_model(two_heads(import_keras()), tmp_path)
    generator = np.random.default_rng(3)
    mask = generator.random((4, 5)) < 0.6
    np.savez(tmp_path / "x.npz", x=generator.normal(size=(4, 5, 2)).astype(np.float32), mask=mask)
    run = validate(path, tmp_path / "x.npz")
    assert run
    assert names(run)[-3:] == ["output.0", "output.1", "output.2"]
    assert [run.got[f"output.{place}"].shape for place in range(3)] == [(4, 2), (4, 5, 3), (4, 5, 4)]


def test_states_in_and_states_out(validate: Validate, tmp_path: Path) -> None:
    """Half of the steps, and then the other half from the states that the first half returned: as in one go."""
    path = save_model(decoder(import_keras()), tmp_path)
    generator = np.random.default_rng(4)
    signal = generator.normal(size=(3, 8, 2)).astype(np.float32)
    states: dict[str, Any] = {
        name: generator.normal(size=(3, units)).astype(np.float32)
        for name, units in (("h_in", 3), ("c_in", 3), ("shared", 4))
    }
    file = tmp_path / "x.npz"
    np.savez(file, signal=signal, **states)
    whole = validate(path, file)
    np.savez(file, signal=signal[:, :4], **states)
    first = validate(path, file)
    np.savez(
        file, signal=signal[:, 4:], h_in=first.got["output.1"], c_in=first.got["output.2"], shared=states["shared"]
    )
    second = validate(path, file)
    assert whole
    assert first
    assert second
    np.testing.assert_array_equal(second.got["output.1"], whole.got["output.1"])
    np.testing.assert_array_equal(second.got["first.c"], whole.got["first.c"][:, 4:])
    assert validate(path, batch=2, steps=3, seed=1)


@pytest.mark.parametrize("sequences", [True, False], ids=["sequences", "last"])
def test_returned_states(validate: Validate, tmp_path: Path, sequences: bool) -> None:
    keras = import_keras()
    x = keras.Input((6, 2), name="x")
    layer = keras.layers.LSTM(3, return_state=True, return_sequences=sequences, name="lstm")
    path = save_model(keras.Model(x, layer(x), name="states"), tmp_path)
    run = validate(path, batch=2)
    assert run
    assert names(run)[-3:] == ["output.0", "output.1", "output.2"]
    np.testing.assert_array_equal(run.got["output.2"], run.got["lstm.c_last"])


def test_states_that_other_layers_read(validate: Validate, tmp_path: Path) -> None:
    path = save_model(encoder_decoder(import_keras()), tmp_path)
    generator = np.random.default_rng(5)
    np.savez(
        tmp_path / "x.npz",
        x=generator.normal(size=(3, 5, 2)).astype(np.float32),
        mask=np.array([[True, False, True, True, False], [True] * 5, [False] * 5]),
        **{f"encoder.{state}": generator.normal(size=(3, 3)).astype(np.float32) for state in ("h0", "c0")},  # type: ignore[arg-type]
    )
    assert validate(path, tmp_path / "x.npz")


@pytest.mark.parametrize("with_mask", [False, True], ids=["all steps", "mask"])
def test_calls_of_a_stateful_model(validate: Validate, tmp_path: Path, with_mask: bool) -> None:
    """The rows of a batch share the one state of the device: it must come back for each of them."""
    path = save_model(stateful(import_keras()), tmp_path)
    generator = np.random.default_rng(6)
    arrays: dict[str, Any] = {
        "x_calls": generator.normal(size=(4, 3, 5, 2)).astype(np.float32),
        "reset_before": np.array([True, False, True, False]),
    }
    if with_mask:
        arrays["mask"] = generator.random((4, 3, 5)) < 0.6
    np.savez(tmp_path / "x.npz", **arrays)
    run = validate(path, tmp_path / "x.npz")
    assert run
    assert run.got["first.c"].shape == (4, 3, 5, 4)
    assert run.got["output"].shape == (4, 3, 2)
    assert all(result.worst is not None and result.worst.call is not None for result in run.results)
    assert (run.got["first.h"][1, :, 0] != run.got["first.h"][0, :, 0]).any()
    assert validate(path)


@pytest.mark.parametrize("layer", ["masked", "both.backward", "inside", "told"])
def test_one_lstm_alone(validate: Validate, tmp_path: Path, layer: str) -> None:
    """Of a model that the device cannot run: it is given what Keras gives that layer."""
    path = save_model(surrounded(import_keras()), tmp_path)
    generator = np.random.default_rng(7)
    file = tmp_path / "x.npz"
    np.savez(file, tokens=generator.integers(0, 3, (3, 7)), extra=generator.normal(size=(3, 7, 3)).astype(np.float32))
    run = validate(path, file, layer=layer)
    assert run
    assert names(run)[:4] == [f"{layer}.{tensor}" for tensor in ("h", "c", "h_last", "c_last")]
    assert f"layer {layer}" in run.summary
    assert validate(path, layer=layer, batch=2)
