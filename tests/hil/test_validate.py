"""The fixture `validate` on models made here, from the file to the verdict, on every target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.errors import InputsRefused, ModelRefused
from harness.loading import CameBy
from harness.model.inputs import Inputs
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Activation
from harness.validation import Validation
from harness.workbench import Workbench
from keras_models import save_model, save_spec

Validate = Callable[..., Validation]


@pytest.fixture(scope="module")
def stacked_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two LSTMs with Dropout between them, and a head of Dense and Activation."""
    keras = import_keras()
    keras.utils.set_random_seed(3)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, 6), name="signal"),
            layers.LSTM(9, return_sequences=True, name="first", dropout=0.3),
            layers.Dropout(0.5),
            layers.LSTM(4, name="second", recurrent_activation="hard_sigmoid", use_bias=False),
            layers.Dense(3, name="head"),
            layers.Activation("softmax", name="probabilities"),
        ],
        name="stacked",
    )
    return save_model(model, tmp_path_factory.mktemp("models"))


def test_a_stack_with_dropout_and_a_head(validate: Validate, stacked_path: Path) -> None:
    run = validate(stacked_path, batch=3, steps=11, seed=5)
    assert run
    assert [result.name for result in run.results] == [
        "first.h", "first.c", "first.h_last", "first.c_last",
        "second.h", "second.c", "second.h_last", "second.c_last", "output",
    ]  # fmt: skip
    assert run.got["first.h"].shape == (3, 11, 9)
    assert run.got["output"].shape == (3, 3)


def test_masks_and_initial_states(validate: Validate, stacked_path: Path) -> None:
    generator = np.random.default_rng(8)
    x = generator.normal(size=(4, 9, 6)).astype(np.float32)
    mask = generator.random((4, 9)) < 0.7
    mask[0] = False
    initial = {
        name: generator.normal(size=(4, units)).astype(np.float32)
        for name, units in (("first.h0", 9), ("first.c0", 9), ("second.c0", 4))
    }
    assert validate(stacked_path, Inputs(x=x, mask=mask))
    assert validate(stacked_path, Inputs(x=x, initial=initial))
    assert validate(stacked_path, Inputs(x=x, mask=mask, initial=initial))


def test_a_bool_input_that_is_the_mask_of_the_second_lstm_only(validate: Validate, tmp_path: Path) -> None:
    keras = import_keras()
    keras.utils.set_random_seed(4)
    x, valid = keras.Input((None, 3), name="signal"), keras.Input((None,), dtype="bool", name="valid")
    first = keras.layers.LSTM(5, return_sequences=True, name="first")(x)
    second = keras.layers.LSTM(4, return_sequences=True, name="second")(first, mask=valid)
    path = save_model(keras.Model([x, valid], second, name="wired"), tmp_path)

    generator = np.random.default_rng(9)
    signal, mask = generator.normal(size=(3, 40, 3)).astype(np.float32), generator.random((3, 40)) < 0.6
    np.savez(tmp_path / "wired.npz", signal=signal, valid=mask)
    run = validate(path, tmp_path / "wired.npz")
    assert run
    held = [~np.diff(run.got[name], axis=1).any(axis=-1) for name in ("first.c", "second.c")]
    assert not held[0].any(), "the first LSTM runs at every step"
    np.testing.assert_array_equal(held[1], ~mask[:, 1:])

    assert validate(path, batch=2, steps=5)
    np.savez(tmp_path / "alone.npz", signal=signal)
    with pytest.raises(InputsRefused, match="'valid'"):
        validate(path, tmp_path / "alone.npz")


@pytest.mark.parametrize(
    "gate", [Activation.SIGMOID, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2, Activation.TANH]
)
def test_gate_functions(validate: Validate, tmp_path: Path, gate: Activation) -> None:
    node = seeds.random_lstm_node(4, 6, scale=2.0, recurrent_activation=gate)
    spec = replace(seeds.random_lstm(4, 6), name=gate.name.lower(), nodes=(node,))
    assert validate(save_spec(spec, tmp_path), batch=2, steps=7)


def test_a_model_that_ram_does_not_hold(validate: Validate, hil_workbench: Workbench, tmp_path: Path) -> None:
    expected = CameBy.LINK_TO_FLASH if hil_workbench.target.kind in ("native", "board") else CameBy.PRELOADED
    run = validate(save_spec(seeds.rows_of_an_image(), tmp_path), batch=2, seed=9)
    assert run
    assert run.on_device is not None
    assert run.on_device.came_by == expected
    if hil_workbench.target.preload(b"", 0):  # what other tests restart is to be empty again
        hil_workbench.close()


@pytest.mark.parametrize("kernel", ["packed", "packed_fma"])
def test_the_packed_kernels(validate: Validate, stacked_path: Path, kernel: str) -> None:
    """The first LSTM by the table of tanh, the second by the generic activations."""
    run = validate(stacked_path, batch=3, steps=11, seed=5, kernel=kernel)
    assert run
    assert run.on_device is not None
    assert run.on_device.image.kernel.name.lower() == kernel


def test_a_given_tolerance_replaces_the_derived_one(validate: Validate, stacked_path: Path) -> None:
    run = validate(stacked_path, atol=0.0, rtol=0.0, batch=2, steps=8)
    assert not run
    assert run.verdict == "FAIL"
    worst = next(result.worst for result in run.results if not result.passed)
    assert worst is not None
    assert worst.expected != worst.got
    assert run.bisect_error is None
    assert run.troubles == []
    assert run.explanation is not None
    assert run.explanation.unchanged, "the device is right, and nobody is as right as that"
    assert run.bisection is not None
    assert not [stage.name for stage in run.bisection.stages if stage.is_wrong]
    assert [step.step for step in run.bisection.steps] == list(range(8))


def test_a_refused_model_is_refused_before_anything_is_sent(validate: Validate, tmp_path: Path) -> None:
    keras = import_keras()
    model = keras.Sequential([keras.Input((5, 2)), keras.layers.GRU(3)], name="gru")
    with pytest.raises(ModelRefused, match="GRU"):
        validate(save_model(model, tmp_path))
