"""Stateful models: Keras' own calls, one after the other, against states that are carried by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
from agreement import agreed
from harness.errors import InputsRefused
from harness.model.inputs import Inputs, random_inputs
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel, from_keras, load_model
from harness.oracle.runtime import KERAS_2, KERAS_3, import_keras
from keras_graphs import stateful

GENERATOR = np.random.default_rng(3)
CALLS = GENERATOR.standard_normal((4, 3, 5, 2)).astype(np.float32)
MASK = GENERATOR.random((4, 3, 5)) < 0.6
RESETS = np.array([False, False, True, False])


@pytest.fixture(scope="module", params=[KERAS_3, KERAS_2])
def loaded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> LoadedModel:
    model = stateful(import_keras(request.param))
    if request.param == KERAS_2:
        return from_keras(model)
    return load_model(keras_models.save_model(model, tmp_path_factory.mktemp("models")))


def first_call(inputs: Inputs, call: int, count: int) -> Inputs:
    part = slice(call, call + count)
    mask = None if inputs.mask is None else inputs.mask[part]
    return replace(inputs, x=inputs.x[part], mask=mask, reset_before=np.zeros(count, dtype=bool))


@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
def test_calls_carry_the_states_and_a_reset_clears_them(loaded: LoadedModel, mask: Any) -> None:
    inputs = Inputs(x=CALLS, mask=mask, reset_before=RESETS)
    got = agreed(loaded, inputs).tensors
    assert {name: array.shape for name, array in got.items()} == {
        "first.h": (4, 3, 5, 4), "first.c": (4, 3, 5, 4), "first.h_last": (4, 3, 4), "first.c_last": (4, 3, 4),
        "free.h": (4, 3, 5, 3), "free.c": (4, 3, 5, 3), "free.h_last": (4, 3, 3), "free.c_last": (4, 3, 3),
        "second.h": (4, 3, 5, 2), "second.c": (4, 3, 5, 2), "second.h_last": (4, 3, 2), "second.c_last": (4, 3, 2),
        "output": (4, 3, 2),
    }  # fmt: skip
    alone = agreed(
        loaded, replace(inputs, x=CALLS[1], mask=None if mask is None else mask[1], reset_before=None)
    ).tensors
    assert (got["first.h"][1] != alone["first.h"]).any()
    for name, array in agreed(loaded, first_call(inputs, 2, 2)).tensors.items():
        np.testing.assert_array_equal(got[name][2:], array, err_msg=name)


def test_every_run_starts_fresh(loaded: LoadedModel) -> None:
    inputs = random_inputs(loaded.spec)
    assert inputs.x.shape == (3, 5, 2)
    first, again = (expected(loaded, inputs).tensors for _ in range(2))
    for name, array in first.items():
        np.testing.assert_array_equal(array, again[name])
    one_call = agreed(loaded, replace(inputs, x=inputs.x[np.newaxis], reset_before=np.array([False]))).tensors
    np.testing.assert_array_equal(one_call["output"][0], first["output"])


def test_one_call_of_twice_the_steps_is_two_calls() -> None:
    """With a fixed batch and open steps; Keras' own states do what one longer sequence does."""
    keras = import_keras()
    model = keras.Sequential(
        [keras.Input(batch_shape=(3, None, 2)), keras.layers.LSTM(4, stateful=True, return_sequences=True, name="lstm")]
    )
    loaded = from_keras(model)
    got = agreed(loaded, Inputs(x=CALLS, reset_before=np.zeros(4, dtype=bool))).tensors
    whole = agreed(loaded, Inputs(x=np.concatenate(CALLS, axis=1))).tensors
    np.testing.assert_array_equal(np.concatenate(got["lstm.c"], axis=1), whole["lstm.c"])


def test_given_states_take_the_place_of_carried_ones(loaded: LoadedModel) -> None:
    initial = {f"first.{state}": np.full((4, 3, 4), 0.5, np.float32) for state in ("h0", "c0")}
    if not loaded.path.name:  # Keras 2
        with pytest.raises(InputsRefused, match="only while what it carries is zero"):
            expected(loaded, Inputs(x=CALLS, initial=initial, reset_before=RESETS))
        return
    got = agreed(loaded, Inputs(x=CALLS, initial=initial, reset_before=RESETS)).tensors
    alone = {name: states[1] for name, states in initial.items()}
    one = agreed(loaded, Inputs(x=CALLS[1], initial=alone)).tensors
    np.testing.assert_array_equal(got["first.h"][1], one["first.h"])
    assert (got["second.h"][1] != one["second.h"]).any()


def test_another_batch_than_the_models(loaded: LoadedModel) -> None:
    with pytest.raises(InputsRefused, match="fixes a batch of 3; the inputs have 2"):
        expected(loaded, Inputs(x=CALLS[:, :2], reset_before=RESETS))


def test_a_stateful_layer_inside_a_model(tmp_path: Path) -> None:
    keras = import_keras()
    x = keras.Input(batch_shape=(3, 5, 2), name="x")
    loaded = load_model(keras_models.save_model(keras.Model(x, stateful(keras)(x), name="outer"), tmp_path))
    agreed(loaded, Inputs(x=CALLS, reset_before=RESETS))
