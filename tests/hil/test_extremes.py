"""Values far outside of training's: saturation, NaN, infinity, denormals, masks over everything, long sequences.

Keras is asked through the ordinary validation: element by element, and a NaN passes only where Keras has one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.protocol.wire import Activation, Kernel
from harness.validation import Validation
from keras_models import save_spec

Validate = Callable[..., Validation]

SATURATING = (Activation.SIGMOID, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2)


@pytest.fixture
def validate(validate: Validate, kernel: Kernel) -> Validate:
    """With each kernel."""
    return partial(validate, kernel=kernel.name.lower())


def one_lstm(name: str, input_size: int = 2, units: int = 3, **changes: Any) -> ModelSpec:
    node = seeds.random_lstm_node(input_size, units, seed=3, **changes)
    return ModelSpec(name, "x", input_size, None, (node,), (0,))


@pytest.mark.parametrize("gate", SATURATING)
def test_gates_saturate(validate: Validate, tmp_path: Path, gate: Activation) -> None:
    """One input, so that no sum cancels: every pre-activation is far beyond +-1e4."""
    spec = one_lstm(f"{gate.name.lower()}", input_size=1, recurrent_activation=gate)
    signs = np.array([[1, -1, 1, 1, -1, -1, 0]])
    x = np.array([[1e5], [-1e5], [1e7], [1e30], [-1e30]]) * signs
    run = validate(save_spec(spec, tmp_path), Inputs(x=x.astype(np.float32)[..., np.newaxis]))
    assert run
    assert np.isin(np.abs(run.got["lstm.c"][:, 0]), [0, 1]).all(), "after one step c is 0, 1 or -1 exactly"


def test_infinite_and_nan_inputs_are_nan_where_keras_is(validate: Validate, tmp_path: Path) -> None:
    x = random_inputs(one_lstm("special"), batch=5, steps=6).x.copy()
    x[0, 2, 0] = np.nan
    x[1, 1, 0] = np.inf
    x[2, 3, 1] = -np.inf
    x[3, 1] = np.inf, -np.inf
    run = validate(save_spec(one_lstm("special"), tmp_path), Inputs(x=x))
    assert run
    assert np.isnan(run.got["lstm.h"][0, 2:]).all()
    assert not np.isnan(run.got["lstm.h"][4]).any()


def test_a_nan_in_one_weight_reaches_what_it_reaches_in_keras(validate: Validate, tmp_path: Path) -> None:
    node = seeds.random_lstm_node(2, 4, seed=3)
    kernel = node.kernel.copy()
    kernel[0, 1] = np.nan  # the input gate of unit 1, which the other units read one step later
    spec = ModelSpec("nan_weight", "x", 2, None, (replace(node, kernel=kernel),), (0,))
    run = validate(save_spec(spec, tmp_path), batch=2, steps=3)
    assert run
    assert np.isnan(run.got["lstm.h"][:, 0]).sum(axis=-1).tolist() == [1, 1]
    assert np.isnan(run.got["lstm.h"][:, 1:]).all()


def test_nan_at_masked_steps_does_not_leak(validate: Validate, tmp_path: Path) -> None:
    for zero_output in (False, True):
        spec = one_lstm(f"masked_{zero_output}", zero_output_for_mask=zero_output)
        inputs = random_inputs(spec, batch=4, steps=40, seed=2)
        mask = np.random.default_rng(3).random((4, 40)) < 0.6
        mask[0, :5] = mask[1] = False
        x = np.where(mask[..., np.newaxis], inputs.x, np.float32(np.nan))
        run = validate(save_spec(spec, tmp_path), Inputs(x=x, mask=mask))
        assert run
        assert not any(np.isnan(values).any() for values in run.got.values())


def test_a_row_that_is_masked_throughout(validate: Validate, tmp_path: Path) -> None:
    """It outputs zeros, and returns the state that it started from, bit for bit."""
    spec = one_lstm("nowhere")
    generator = np.random.default_rng(4)
    initial = {name: generator.standard_normal((3, 3)).astype(np.float32) for name in ("lstm.h0", "lstm.c0")}
    mask = np.array([[True] * 5, [False] * 5, [False] * 4 + [True]])
    inputs = replace(random_inputs(spec, batch=3, steps=5), mask=mask, initial=initial)
    run = validate(save_spec(spec, tmp_path), inputs)
    assert run
    assert not run.got["lstm.h"][1].any()
    assert not run.got["output"][1].any()
    for state in "hc":
        assert run.got[f"lstm.{state}_last"][1].tobytes() == initial[f"lstm.{state}0"][1].tobytes()
        assert (run.got[f"lstm.{state}_last"][2] != initial[f"lstm.{state}0"][2]).all()


def test_denormals_are_kept_where_tensorflow_has_zero(validate: Validate, tmp_path: Path) -> None:
    """FZ and DN are 0 on the device. The difference is far below any tolerance: docs/ACCURACY.md."""
    zeros, ones = np.zeros(1), np.ones(1)
    kernel = np.concatenate([zeros, zeros, ones, zeros])[np.newaxis]  # only the candidate reads x; the gates are 1
    bias = np.concatenate([ones, zeros, zeros, ones])
    spec = seeds.single_lstm(kernel, np.zeros((1, 4)), bias, Activation.TANH, Activation.LINEAR)
    denormal = np.float32(1e-39)
    run = validate(save_spec(spec, tmp_path), Inputs(x=np.full((1, 1, 1), denormal)))
    assert run
    assert run.got["lstm.h"].item() == denormal
    assert run.expected is not None
    assert run.expected.tensors["lstm.h"].item() == 0


@pytest.fixture(scope="module")
def long_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One file for all kernels and targets, so that Keras is asked once."""
    return save_spec(one_lstm("long", input_size=1, units=2), tmp_path_factory.mktemp("long"))


def test_two_thousand_steps(validate: Validate, long_model: Path) -> None:
    run = validate(long_model, batch=1, steps=2000)
    assert run
    assert run.got["lstm.c"].shape == (1, 2000, 2)
