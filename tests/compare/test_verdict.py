"""A verdict has to fail on every planted fault, and to say where it is."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import seeds
from harness.compare.tolerance import Tolerance, distance_to_float64, tolerances
from harness.compare.verdict import TensorResult, all_passed, compare, gate_and_unit, json_number
from harness.model.inputs import random_inputs
from harness.model.nodes import GATES, LstmNode, gates_of
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS
from harness.oracle.reference import reference
from harness.protocol.wire import Activation

Tensors = dict[str, Any]

CASE = seeds.no_bias_16_32()
EXPECTED: Tensors = {name: array.astype(np.float32) for name, array in CASE.expected.items()}
DEVICE: Tensors = {
    name: array.astype(np.float32) for name, array in reference(CASE.spec, CASE.inputs, np.float32).items()
}
TOLERANCES = tolerances(distance_to_float64(EXPECTED, CASE.expected))


def judge(got: Tensors, expected: Tensors = EXPECTED) -> dict[str, TensorResult]:
    return {result.name: result for result in compare(expected, got, TOLERANCES)}


def test_a_right_float32_program_passes() -> None:
    results = judge(DEVICE)
    assert all_passed(results.values())
    assert list(results) == ["lstm.h", "lstm.c", "lstm.h_last", "lstm.c_last", "output"]
    for result in results.values():
        assert 0 < result.metrics.max_abs < 5e-7
        assert result.tolerance is TOLERANCES[result.name]
        assert result.shape == EXPECTED[result.name].shape


def with_gates_in_order(order: str) -> Tensors:
    """What a device computes whose weights came in another order of gates."""
    (node,) = CASE.spec.nodes
    assert isinstance(node, LstmNode)
    columns = np.concatenate([np.arange(32) + 32 * "ifco".index(gate) for gate in order])
    swapped = replace(node, kernel=node.kernel[:, columns], recurrent_kernel=node.recurrent_kernel[:, columns])
    tensors = reference(replace(CASE.spec, nodes=(swapped,)), CASE.inputs, np.float32)
    return {name: array.astype(np.float32) for name, array in tensors.items()}


@pytest.mark.parametrize("order", ["fico", "icfo", "ifoc", "oifc", "fcio"])
def test_swapped_gates_fail(order: str) -> None:
    results = judge(with_gates_in_order(order))
    assert not any(result.passed for result in results.values())
    assert results["lstm.h"].metrics.max_abs > 1e-3


@pytest.mark.parametrize("fault", ["other hard_sigmoid", "no bias", "state kept", "step left out", "coarse tanh"])
def test_planted_faults_fail(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    node = seeds.random_lstm(8, 16).nodes[0]
    assert isinstance(node, LstmNode)
    node = replace(node, recurrent_activation=Activation.HARD_SIGMOID)
    spec = ModelSpec("right", "x", 8, None, (node,), (0,))
    inputs = random_inputs(spec, batch=4, steps=12)
    float64 = reference(spec, inputs)
    right = {name: array.astype(np.float32) for name, array in float64.items()}
    derived = tolerances(distance_to_float64(right, float64))
    assert all_passed(compare(right, reference(spec, inputs, np.float32), derived))
    if fault == "other hard_sigmoid":
        spec = replace(spec, nodes=(replace(node, recurrent_activation=Activation.HARD_SIGMOID_KERAS2),))
    elif fault == "no bias":
        spec = replace(spec, nodes=(replace(node, bias=None),))
    elif fault == "state kept":
        states = {f"lstm.{state}0": np.roll(right[f"lstm.{state}_last"], 1, axis=0) for state in "hc"}
        inputs = replace(inputs, initial=states)
    elif fault == "step left out":
        mask = np.ones((4, 12), dtype=bool)
        mask[2, 6] = False
        inputs = replace(inputs, mask=mask)
    else:
        monkeypatch.setitem(ACTIVATIONS, Activation.TANH, lambda x: np.tanh(x) + x.dtype.type(1e-4))
    results = compare(right, reference(spec, inputs, np.float32), derived)
    assert not any(result.passed for result in results)


def test_one_wrong_element_fails_and_is_found() -> None:
    got = {name: array.copy() for name, array in DEVICE.items()}
    got["lstm.c"][2, 7, 5] += 1e-5
    results = judge(got)
    assert [name for name, result in results.items() if not result.passed] == ["lstm.c"]
    worst = results["lstm.c"].worst
    assert worst is not None
    assert (worst.sequence, worst.step, worst.unit) == (2, 7, 5)
    assert worst.got - worst.expected == pytest.approx(1e-5, rel=0.1)


def test_a_tensor_without_steps_has_no_step() -> None:
    got = {**DEVICE, "lstm.h_last": DEVICE["lstm.h_last"] + np.float32(1)}
    worst = judge(got)["lstm.h_last"].worst
    assert worst is not None
    assert worst.step is None


def test_of_a_tensor_with_gates_the_worst_has_its_gate() -> None:
    expected = {"lstm.gates": np.zeros((2, 3, 8), np.float32)}
    got = {"lstm.gates": expected["lstm.gates"].copy()}
    got["lstm.gates"][1, 2, 5] = 1
    (result,) = compare(expected, got, {"lstm.gates": Tolerance(0, 0, "test")}, gates_of=gates_of)
    assert result.place == "seq 1 step 2 gate c unit 1"
    found = result.to_json()["worst"]
    assert list(found) == ["sequence", "step", "gate", "unit", "expected", "got"]
    assert (found["gate"], found["unit"]) == ("c", 1)


def test_an_axis_that_the_gates_do_not_divide_has_none() -> None:
    assert [gate_and_unit(place, 8, GATES) for place in (0, 1, 2, 7)] == [("i", 0), ("i", 1), ("f", 0), ("o", 1)]
    assert gate_and_unit(2, 3, GATES) == (None, 2)
    assert gate_and_unit(5, 8, gates_of("lstm.h")) == (None, 5)


@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf])
def test_a_nan_or_infinity_fails(wrong: float) -> None:
    got = {name: array.copy() for name, array in DEVICE.items()}
    got["lstm.h"][3, 11, 31] = wrong
    result = judge(got)["lstm.h"]
    assert not result.passed
    assert result.metrics.max_abs == math.inf
    assert result.metrics.nan_got == math.isnan(wrong)
    assert result.worst is not None
    assert (result.worst.sequence, result.worst.step, result.worst.unit) == (3, 11, 31)


@pytest.mark.parametrize(("value", "passes"), [(math.nan, True), (math.inf, True), (0.0, False)])
def test_a_nan_passes_only_where_the_oracle_has_one(value: float, passes: bool) -> None:
    expected = {name: array.copy() for name, array in EXPECTED.items()}
    got = {name: array.copy() for name, array in DEVICE.items()}
    expected["lstm.h"][0, 0, 0] = math.nan if math.isnan(value) else math.inf
    got["lstm.h"][0, 0, 0] = value
    got_elsewhere = {name: array.copy() for name, array in DEVICE.items()}
    got_elsewhere["lstm.h"][0, 0, 1] = value
    assert judge(got, expected)["lstm.h"].passed is passes
    assert not judge(got_elsewhere, expected)["lstm.h"].passed
    assert judge(got, expected)["lstm.h"].metrics.nan_expected == math.isnan(value)


@pytest.mark.parametrize(
    ("fault", "problem"),
    [
        (lambda array: array[:, :-1], "shape (4, 11, 32), expected (4, 12, 32)"),
        (lambda array: array[0], "shape (12, 32), expected (4, 12, 32)"),
        (lambda array: array.swapaxes(0, 1), "shape (12, 4, 32), expected (4, 12, 32)"),
        (lambda array: array.astype(np.float64), "dtype float64, expected float32"),
    ],
)
def test_another_shape_or_dtype_fails(fault: Callable[[Any], Any], problem: str) -> None:
    result = judge({**DEVICE, "lstm.h": fault(DEVICE["lstm.h"])})["lstm.h"]
    assert not result.passed
    assert result.problem == problem
    assert result.worst is None
    assert result.metrics.max_abs == math.inf


def test_missing_and_additional_tensors_fail() -> None:
    got = {**DEVICE, "extra": DEVICE["lstm.h"]}
    del got["lstm.c"]
    results = judge(got)
    assert list(results) == [*EXPECTED, "extra"]
    assert (results["lstm.c"].problem, results["extra"].problem) == ("missing", "not expected")
    assert not results["lstm.c"].passed
    assert not results["extra"].passed
    assert results["extra"].tolerance is None


def test_no_tolerance_is_wide_enough_for_a_nan() -> None:
    expected, got = {"a": np.ones((1, 1), np.float32)}, {"a": np.full((1, 1), np.nan, np.float32)}
    assert not all_passed(compare(expected, got, {"a": Tolerance(math.inf, 0, "test")}))


def test_nothing_compared_is_nothing_proved() -> None:
    assert not all_passed(())
    empty = {"a": np.zeros((0, 3), dtype=np.float32)}
    (result,) = compare(empty, empty, {"a": Tolerance(1, 1, "test")})
    assert result.problem == "no elements"
    assert not result.passed


def test_zero_tolerance_asks_for_the_very_bits() -> None:
    none = dict.fromkeys(EXPECTED, Tolerance(0, 0, "test"))
    assert all_passed(compare(EXPECTED, EXPECTED, none))
    result = compare(EXPECTED, DEVICE, none)[0]
    assert not result.passed
    assert result.worst is not None
    assert abs(result.worst.got - result.worst.expected) == result.metrics.max_abs


def test_the_worst_element_is_the_one_that_uses_most_of_its_tolerance() -> None:
    expected, got = {"a": np.array([[1000, 0]], np.float32)}, {"a": np.array([[1001, 0.5]], np.float32)}
    (result,) = compare(expected, got, {"a": Tolerance(0.1, 0.01, "test")})
    assert result.metrics.max_abs == 1
    assert result.worst is not None
    assert result.worst.unit == 1


def test_records_are_json_without_extensions() -> None:
    got = {name: array.copy() for name, array in DEVICE.items()}
    got["lstm.h"][0, 0, 0] = math.nan
    del got["output"]
    for result in judge(got).values():
        record = json.loads(json.dumps(result.to_json(), allow_nan=False))
        assert set(record) >= {"name", "shape", "max_abs", "max_rel", "max_ulp", "rmse", "pass", "worst"}
    record = judge(got)["lstm.h"].to_json()
    assert record["worst"]["got"] == "NaN"
    assert record["max_abs"] == "Infinity"
    assert record["pass"] is False
    assert set(record["worst"]) == {"sequence", "step", "unit", "expected", "got"}


@pytest.mark.parametrize("value", [0.1, math.inf, -math.inf])
def test_json_numbers_come_back(value: float) -> None:
    assert float(json_number(value)) == value
    assert math.isnan(float(json_number(math.nan)))


def test_how_much_is_beyond_and_since_when() -> None:
    got = {name: array.copy() for name, array in DEVICE.items()}
    got["lstm.h"][1, 9, 3] += 1
    got["lstm.h"][2, 4, 0] += 2
    results = judge(got)
    broken, whole = results["lstm.h"], results["lstm.c"]
    assert (broken.beyond, broken.first_step_beyond) == (2, 4)
    assert broken.share > 1e5
    assert (whole.beyond, whole.first_step_beyond) == (0, None)
    assert 0 < whole.share < 1
    last = judge({**DEVICE, "lstm.h_last": got["lstm.h_last"] + 1})["lstm.h_last"]
    assert (last.beyond, last.first_step_beyond) == (got["lstm.h_last"].size, None)
