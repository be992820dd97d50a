"""Calls of stateful models: how a file gives them, and every refusal."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.errors import InputsRefused
from harness.model.calls import run_calls
from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import load_inputs

SPEC = replace(
    seeds.random_lstm(2, 3),
    name="stateful",
    nodes=(
        seeds.random_lstm_node(2, 3, stateful=True, name="lstm"),
        seeds.random_lstm_node(3, 4, source=0, name="told", h0_input="h_in", c0_input="c_in", stateful=True),
    ),
    outputs=(1,),
    batch=2,
)
STATES = {"h_in": np.ones((2, 4), np.float32), "c_in": np.ones((3, 2, 4), np.float32)}
X = np.arange(3 * 2 * 5 * 2, dtype=np.float32).reshape(3, 2, 5, 2)


def save(folder: Path, **arrays: Any) -> Path:
    path = folder / "inputs.npz"
    np.savez(path, **arrays)
    return path


def test_calls_with_inputs_of_each_call_and_shared_ones(tmp_path: Path) -> None:
    mask = np.array([[True] * 5, [False] * 5])
    resets = np.array([False, True, False])
    got = load_inputs(save(tmp_path, x_calls=X, reset_before=resets, mask=mask, **STATES), SPEC)
    assert (got.calls, got.batch, got.steps) == (3, 2, 5)
    assert got.mask is not None
    assert got.mask.shape == (3, 2, 5)
    assert {name: array.shape for name, array in got.initial.items()} == {"told.h0": (3, 2, 4), "told.c0": (3, 2, 4)}
    calls = list(got.each_call())
    assert [is_fresh for is_fresh, _ in calls] == [True, True, False]
    for (_, call), x in zip(calls, X, strict=True):
        np.testing.assert_array_equal(call.x, x)
        assert call.mask is not None
        np.testing.assert_array_equal(call.mask, mask)
        assert call.reset_before is None
    assert got.notes == ()
    spelled_out = replace(got, mask=np.stack([mask] * 3))
    assert got.sha256 == spelled_out.sha256 != replace(got, reset_before=~resets).sha256


def test_no_resets_is_noted_and_states_of_a_stateful_layer_too(tmp_path: Path) -> None:
    c0 = np.full((2, 3), 0.5, np.float32)
    got = load_inputs(save(tmp_path, x_calls=X, **{"lstm.c0": c0}, **STATES), SPEC)
    assert got.reset_before is not None
    assert not got.reset_before.any()
    assert got.notes == (
        "'reset_before' is not given: no reset between the calls",
        "'lstm.h0' is not given: zeros",
        "'lstm.h0', 'lstm.c0' are given to every call, in place of what the call before left",
    )
    assert got.initial["lstm.h0"].shape == (3, 2, 3)


def test_plain_x_is_one_call(tmp_path: Path) -> None:
    arrays = {"x": X[0], "h_in": STATES["h_in"], "c_in": STATES["c_in"][0]}
    got = load_inputs(save(tmp_path, **arrays), SPEC)
    assert (got.reset_before, got.calls) == (None, 1)
    assert [is_fresh for is_fresh, _ in got.each_call()] == [True]


def test_random_inputs_have_the_models_batch() -> None:
    assert random_inputs(SPEC).batch == 2
    assert random_inputs(SPEC, batch=7).batch == 7
    assert random_inputs(seeds.random_lstm(2, 3)).batch == 8


def test_an_input_of_a_reserved_name_is_an_input(tmp_path: Path) -> None:
    spec = replace(seeds.random_lstm(2, 3), input_name="x_calls")
    assert load_inputs(save(tmp_path, x_calls=X[0]), spec).reset_before is None


@pytest.mark.parametrize(
    ("changes", "code", "says"),
    [
        ({"x_calls": X[0]}, "inputs_shape", "(calls >= 1, batch >= 1, steps >= 1, features = 2)"),
        ({"x_calls": X[:0]}, "inputs_shape", "'x_calls'"),
        ({"x_calls": X[..., :1]}, "inputs_shape", "features = 2"),
        ({"x_calls": X > 0}, "inputs_dtype", "'x_calls'"),
        ({"reset_before": np.zeros(2, bool)}, "inputs_shape", "'reset_before'"),
        ({"reset_before": np.zeros((3, 2), bool)}, "inputs_shape", "(calls = 3)"),
        ({"reset_before": np.zeros(3)}, "inputs_dtype", "is float64, not bool"),
        ({"mask": np.ones((2, 2, 5), bool)}, "inputs_shape", "(calls = 3, batch = 2, steps = 5)"),
        ({"mask": np.ones((3, 5), bool)}, "inputs_shape", "(batch = 2, steps = 5)"),
        ({"h_in": np.ones((2, 2, 4), np.float32)}, "inputs_shape", "(calls = 3, batch = 2, units = 4)"),
        ({"x": X[0]}, "inputs_unknown", "'x', which"),
        ({"x_calls": None, "x": X[0], "c_in": np.ones((2, 4)), "reset_before": np.zeros(3, bool)}, "inputs_unknown",
         "'reset_before' without 'x_calls'"),
        ({"x_calls": None, "x": X}, "inputs_shape", "'x' in"),
    ],
)  # fmt: skip
def test_calls_that_do_not_fit(tmp_path: Path, changes: dict[str, Any], code: str, says: str) -> None:
    arrays = {"x_calls": X, **STATES, **changes}
    with pytest.raises(InputsRefused) as caught:
        load_inputs(save(tmp_path, **{name: array for name, array in arrays.items() if array is not None}), SPEC)
    assert caught.value.code == code
    assert says in caught.value.message
    assert caught.value.remedy


def test_a_model_that_is_not_stateful(tmp_path: Path) -> None:
    with pytest.raises(InputsRefused, match="no LSTM of model 'seed' has stateful=True") as caught:
        load_inputs(save(tmp_path, x_calls=X), seeds.random_lstm(2, 3))
    assert "one batch `x`" in caught.value.remedy


def test_what_one_call_leaves_is_where_the_next_one_starts() -> None:
    seen: list[dict[str, Any]] = []

    def run(call: Inputs) -> dict[str, Any]:
        seen.append({name: float(states.flat[0]) for name, states in call.initial.items()})
        lasts = {
            f"{name}.{state}_last": np.full((2, 3), len(seen)) for name in ("lstm", "told") for state in ("h", "c")
        }
        return {**lasts, "output": call.x[:, -1]}

    states = {f"told.{state}": np.full((3, 2, 4), 9, np.float32) for state in ("h0", "c0")}
    got = run_calls(SPEC, Inputs(x=X, initial=states, reset_before=np.array([False, False, True])), run)
    told = {"told.h0": 9.0, "told.c0": 9.0}
    assert seen == [told, {**told, "lstm.h0": 1.0, "lstm.c0": 1.0}, told]
    np.testing.assert_array_equal(got["output"], X[:, :, -1])


def test_masking_masks_in_every_call() -> None:
    x = X.copy()
    x[1, 0, 2:] = -1
    inputs = Inputs(x, reset_before=np.array([True, False, False]))
    masking = replace(SPEC, mask_value=-1.0)
    zeroed, mask = inputs.seen_by(masking)
    assert mask is not None
    for (_, call), zeroed_of_call, mask_of_call in zip(inputs.each_call(), zeroed, mask, strict=True):
        alone, mask_alone = call.seen_by(masking)
        np.testing.assert_array_equal(zeroed_of_call, alone)
        np.testing.assert_array_equal(mask_of_call, mask_alone)
    assert inputs.masked_steps(masking) == 3
    assert inputs.masked_steps(SPEC) == 0
