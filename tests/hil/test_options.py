"""Options of Keras' LSTM, made by Keras and validated as a user would: all on native, some of them on every target."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.oracle.cache import Oracle
from harness.oracle.runtime import hard_sigmoid_keras2, import_keras
from harness.protocol.wire import Activation
from harness.validation import Limits, Validation
from harness.validation import validate as validate_model
from harness.workbench import Workbench
from keras_models import save_model

Validate = Callable[..., Validation]
STEPS = 6

UNITS = (1, 2, 3, 5, 7, 33, 75, 128)
INPUT_SIZES = (1, 2, 16, 64)
SWITCHES = ("use_bias", "unit_forget_bias", "return_sequences", "zero_output_for_mask", "unroll", "dropout")
COMBINATIONS = [
    values
    for values in itertools.product((False, True), repeat=len(SWITCHES))
    if values[0] or not values[1]  # unit_forget_bias is of no effect without a bias
]


@pytest.fixture
def on_native(hil_workbenches: Callable[[str], Workbench]) -> Validate:
    """Validates on native, whatever the target at hand."""

    def run(path: Path, make_inputs: Callable[[ModelSpec], Inputs]) -> Validation:
        device_for = hil_workbenches("native").device_for
        result = validate_model(path, lambda loaded: make_inputs(loaded.spec), device_for, Limits(), Oracle(None))
        if result.error is not None:
            raise result.error
        return result

    return run


def one_lstm(
    folder: Path, units: int = 5, input_size: int = 3, *behind: Any, steps: int = STEPS, **options: Any
) -> Path:
    """A file of a model of one LSTM with biases as training leaves them."""
    keras = import_keras()
    keras.utils.set_random_seed(units + input_size)
    if options.get("use_bias", True) and not options.get("unit_forget_bias", True):
        options["bias_initializer"] = "random_normal"
    layers = [keras.Input((steps, input_size)), keras.layers.LSTM(units, name="lstm", **options), *behind]
    return save_model(keras.Sequential(layers, name="options"), folder)


def inputs_for(spec: ModelSpec, *, mask: bool = False, initial: bool = False, steps: int = STEPS) -> Inputs:
    """Three sequences; with a mask one of them counts nowhere."""
    made = random_inputs(spec, batch=3, steps=steps, seed=1)
    generator = np.random.default_rng(2)
    if mask:
        counts = generator.random((3, steps)) < 0.6
        counts[0] = False
        made = replace(made, mask=counts)
    if initial:
        names = [f"{node.name}.{state}0" for _, node in spec.lstm_nodes() for state in "hc"]
        units = next(node.units for _, node in spec.lstm_nodes())
        made = replace(made, initial={name: generator.normal(0, 0.5, (3, units)).astype(np.float32) for name in names})
    return made


def keras_name(activation: Activation) -> Any:
    return hard_sigmoid_keras2() if activation is Activation.HARD_SIGMOID_KERAS2 else activation.name.lower()


@pytest.mark.parametrize("values", COMBINATIONS, ids=str)
def test_every_combination_of_switches(on_native: Validate, tmp_path: Path, values: tuple[bool, ...]) -> None:
    options: dict[str, Any] = dict(zip(SWITCHES, values, strict=True))
    options["recurrent_dropout"] = options["dropout"] = 0.3 * options["dropout"]
    path = one_lstm(tmp_path, **options)
    assert on_native(path, inputs_for)
    assert on_native(path, lambda spec: inputs_for(spec, mask=True, initial=True))


@pytest.mark.parametrize("units", UNITS)
@pytest.mark.parametrize("input_size", INPUT_SIZES)
def test_shapes(on_native: Validate, tmp_path: Path, units: int, input_size: int) -> None:
    assert on_native(one_lstm(tmp_path, units, input_size, return_sequences=True), inputs_for)


@pytest.mark.parametrize("role", ["activation", "recurrent_activation"])
@pytest.mark.parametrize("activation", Activation)
def test_every_activation_in_both_roles(on_native: Validate, tmp_path: Path, activation: Activation, role: str) -> None:
    # exp(exp(...)): after two steps float32 does not say what it is.
    steps = 2 if (activation, role) == (Activation.EXPONENTIAL, "activation") else STEPS
    path = one_lstm(tmp_path, steps=steps, return_sequences=True, **{role: keras_name(activation)})
    assert on_native(path, lambda spec: inputs_for(spec, mask=True, steps=steps))


@pytest.mark.parametrize("activation", Activation)
def test_every_activation_behind_an_lstm(on_native: Validate, tmp_path: Path, activation: Activation) -> None:
    layers = import_keras().layers
    dense = layers.Dense(4, activation=keras_name(activation), bias_initializer="random_normal", name="dense")
    alone = layers.Activation(keras_name(activation), name="alone")
    assert on_native(one_lstm(tmp_path, 5, 3, dense, alone, return_sequences=True), inputs_for)


def test_layers_that_are_activations(on_native: Validate, tmp_path: Path) -> None:
    layers = import_keras().layers
    behind = [layers.ELU(), layers.LeakyReLU(negative_slope=0.2), layers.ReLU(max_value=6), layers.ReLU()]
    path = one_lstm(tmp_path, 5, 3, *behind, return_sequences=True)
    assert on_native(path, lambda spec: inputs_for(spec, mask=True))


@pytest.mark.parametrize("activation", Activation)
def test_nan_and_infinity_in_every_activation(on_native: Validate, tmp_path: Path, activation: Activation) -> None:
    """Of inputs, through an LSTM with this activation. Rows of 5: in wider ones Keras' softmax is not reproducible."""

    def special(spec: ModelSpec) -> Inputs:
        x = inputs_for(spec).x.copy()
        x[0, 2, 0], x[1, 2, 0], x[2, 2, 0] = np.nan, np.inf, -np.inf
        return Inputs(x=x)

    path = one_lstm(tmp_path, return_sequences=True, activation=keras_name(activation))
    run = on_native(path, special)
    assert run
    assert np.isnan(run.got["lstm.h"][0, 2:]).all()
    assert not np.isnan(run.got["lstm.h"][:, :2]).any()


REPRESENTATIVE: dict[str, dict[str, Any]] = {
    "as Keras makes it": {},
    "no bias": {"use_bias": False, "return_sequences": True},
    "unrolled, zeros at masked steps": {"unroll": True, "zero_output_for_mask": True, "return_sequences": True},
    "dropout": {"dropout": 0.3, "recurrent_dropout": 0.3},
    "relu and hard_sigmoid": {"activation": "relu", "recurrent_activation": "hard_sigmoid", "return_sequences": True},
    "gelu and softmax": {"activation": "gelu", "recurrent_activation": "softmax", "return_sequences": True},
}


@pytest.mark.parametrize("case", REPRESENTATIVE)
def test_some_on_every_target(validate: Validate, tmp_path: Path, case: str) -> None:
    path = one_lstm(tmp_path, **REPRESENTATIVE[case])
    sizes = ModelSpec("", "x", 3, STEPS, (), ())
    generator = np.random.default_rng(2)
    assert validate(path, batch=3)
    initial = {name: generator.normal(0, 0.5, (3, 5)).astype(np.float32) for name in ("lstm.h0", "lstm.c0")}
    mask = np.array([[False] * 6, [True, False] * 3, [False, True, True] * 2])
    assert validate(path, replace(random_inputs(sizes, batch=3, seed=1), mask=mask, initial=initial))
