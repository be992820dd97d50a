"""The numbers behind the pictures."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import seeds
from harness.compare.tolerance import Tolerance
from harness.model.inputs import random_inputs
from harness.protocol.wire import Activation
from harness.report import curves
from report_runs import made_run

ALLOWED = Tolerance(1e-6, 0, "")


def errors(*shape: int, **at: Any) -> tuple[Any, Any]:
    expected = np.zeros(shape, np.float32)
    got = expected.copy()
    for place, value in at.items():
        got[tuple(int(index) for index in place.strip("_").split("_"))] = value
    return expected, got


def test_errors_by_step_and_by_unit() -> None:
    steps = curves.steps_of("lstm.h", *errors(2, 4, 3, _0_1_2=0.5, _1_1_2=-1, _1_3_0=2), ALLOWED, has_calls=False)
    assert steps.largest.tolist() == [0, 1, 0, 2]
    assert steps.rms.tolist() == pytest.approx([0, np.sqrt(1.25 / 6), 0, np.sqrt(4 / 6)])
    assert steps.by_unit.tolist() == [[0, 0, 0, 2], [0, 0, 0, 0], [0, 1, 0, 0]]
    assert (steps.atol, steps.shape) == (1e-6, (3, 4))


def test_calls_follow_each_other_in_time() -> None:
    expected, got = errors(2, 3, 4, 1, _0_2_1_0=1, _1_0_3_0=2)
    steps = curves.steps_of("lstm.h", expected, got, ALLOWED, has_calls=True)
    assert steps.largest.tolist() == [0, 1, 0, 0, 0, 0, 0, 2]
    unit = curves.trajectory_of("lstm.h", expected, got, has_calls=True)
    assert (unit.sequence, unit.unit, unit.got.tolist()) == (0, 0, [0, 0, 0, 0, 0, 0, 0, 2])


def test_a_nan_on_one_side_is_infinite() -> None:
    steps = curves.steps_of("lstm.h", *errors(1, 2, 2, _0_1_0=np.nan), ALLOWED, has_calls=False)
    assert steps.largest.tolist() == [0, np.inf]
    assert steps.rms.tolist() == [0, np.inf]


def test_large_maps_are_binned_by_the_largest() -> None:
    length, units = 3 * curves.MOST_STEPS + 1, 2 * curves.MOST_UNITS
    expected, got = errors(1, length, units)
    got[0, length - 1, units - 1] = 7
    got[0, 4, 2] = 3
    steps = curves.steps_of("lstm.h", expected, got, ALLOWED, has_calls=False)
    assert steps.by_unit.shape[0] <= curves.MOST_UNITS
    assert steps.by_unit.shape[1] <= curves.MOST_STEPS
    assert steps.by_unit[1, 1] == 3
    assert steps.by_unit[-1, -1] == 7
    assert steps.by_unit.sum() == 10


def test_the_shown_unit_is_the_worst() -> None:
    unit = curves.trajectory_of("lstm.h", *errors(3, 2, 4, _2_1_3=-5, _0_0_1=1), has_calls=False)
    assert (unit.sequence, unit.unit, unit.got.tolist(), unit.expected.tolist()) == (2, 3, [0, -5], [0, 0])


def test_ulps_are_counted_by_powers_of_two() -> None:
    one = np.float32(1)
    values = [one]
    for _ in range(5):
        values.append(np.nextafter(values[-1], np.float32(2)))
    counts = curves.ulp_histogram(np.full(7, one), np.array([*values, np.nan], np.float32))
    assert counts[:4].tolist() == [1, 1, 2, 2]  # 0, 1, 2 to 3, 4 to 7
    assert counts[-2:].tolist() == [1, 0] or counts[-1] == 1
    assert counts.sum() == 7


def test_saturation_of_each_gate() -> None:
    spec = seeds.random_lstm(2, 4)
    inputs = random_inputs(spec, batch=3, steps=5)
    gates = np.full((3, 5, 16), 0.5, np.float32)
    gates[..., 0] = 0.001  # i of one unit of four at its lower end
    gates[..., 4:6] = 1.0  # f of two
    gates[..., 8] = -0.999  # the candidate of one
    (found,) = curves.saturation(spec, inputs, {"lstm.gates": gates})
    assert found.low == {"i": 0.25, "f": 0, "c": 0.25, "o": 0}
    assert found.high == {"i": 0, "f": 0.5, "c": 0, "o": 0}


def test_masked_steps_have_no_gates() -> None:
    spec = seeds.random_lstm(2, 4)
    gates = np.full((3, 5, 16), 0.5, np.float32)
    gates[:, 3:] = 0
    (found,) = curves.saturation(spec, random_inputs(spec, batch=3, steps=5), {"lstm.gates": gates})
    assert found.low == dict.fromkeys("ifco", 0.0)


def test_an_activation_without_ends_is_not_saturated() -> None:
    node = seeds.random_lstm_node(2, 4, name="lstm", activation=Activation.LINEAR)
    spec = replace(seeds.random_lstm(2, 4), nodes=(node,))
    (found,) = curves.saturation(spec, random_inputs(spec, batch=3, steps=5), {})
    assert (found.low["c"], found.high["c"]) == (None, None)
    assert found.low["i"] is not None


def test_gates_that_were_not_traced_are_those_of_the_reference() -> None:
    spec = seeds.random_lstm(2, 4, scale=30)
    run = made_run(spec)
    assert run.inputs is not None
    (found,) = curves.saturation(spec, run.inputs, run.got)
    assert max(share for share in found.low.values() if share is not None) > 0.2


def test_of_a_long_run_the_first_sequences_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = seeds.random_lstm(2, 4)
    inputs = random_inputs(spec, batch=6, steps=5)
    monkeypatch.setattr(curves, "MOST_GATE_VALUES", 2 * 4 * 4 * 5)
    assert curves.saturation(spec, inputs, {}) == curves.saturation(spec, inputs.rows(slice(0, 2)), {})
