"""The worked examples on every target, against values computed by hand or in float64."""

from __future__ import annotations

import numpy as np
import pytest

import seeds
from harness.device import Device
from harness.loading import load_model
from harness.protocol.wire import Activation
from harness.validation import run_batch

ATOL = 5e-7  # harness.compare.tolerance.LEAST_ATOL: these shapes need no more


def run(device: Device, case: seeds.SeedCase) -> dict[str, np.ndarray]:
    load_model(device, case.spec)
    return run_batch(device, case.spec, case.inputs)[0]


@pytest.mark.parametrize("gate", list(seeds.SCALAR_GATES), ids=lambda gate: gate.name.lower())
def test_the_worked_example(device: Device, gate: Activation) -> None:
    case = seeds.worked_example(gate)
    got = run(device, case)
    for name, expected in case.expected.items():
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=ATOL, err_msg=name)


def test_the_hand_computation_is_exact(device: Device) -> None:
    got = run(device, seeds.linear_by_hand())
    np.testing.assert_array_equal(got["lstm.h"], [[[0, 4, 0]]])
    np.testing.assert_array_equal(got["lstm.c"], [[[0, 4, 1]]])


def test_rounded_weights_without_bias(device: Device) -> None:
    case = seeds.no_bias_16_32()
    got = run(device, case)
    for name, expected in case.expected.items():
        np.testing.assert_allclose(got[name], expected, rtol=0, atol=ATOL, err_msg=name)


@pytest.mark.parametrize(
    "case",
    [
        *(seeds.worked_example(gate) for gate in seeds.SCALAR_GATES),
        seeds.linear_by_hand(),
        seeds.no_bias_16_32(),
    ],
    ids=["sigmoid", "hard_sigmoid", "hard_sigmoid_keras2", "linear", "no_bias"],
)
def test_every_way_gives_the_same_bits(both, case: seeds.SeedCase) -> None:  # type: ignore[no-untyped-def]
    native, other = (run(bench.device(), case) for bench in both)
    for name in case.expected:
        assert native[name].tobytes() == other[name].tobytes(), name
