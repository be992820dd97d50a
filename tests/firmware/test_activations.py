"""The firmware's own exp, sigmoid and tanh against float64: the errors that docs/ACCURACY.md states."""

from __future__ import annotations

import subprocess

import numpy as np
import pytest
from numpy.typing import NDArray

from harness.build.native import compile_host_tool
from harness.build.paths import project_root
from harness.compare.metrics import ulp_distances
from harness.oracle import reference
from harness.protocol.wire import Activation

Float32Array = NDArray[np.float32]


def firmware(function: str, values: Float32Array) -> Float32Array:
    tool = compile_host_tool("activation_tool", [project_root() / "firmware" / "test" / "activation_tool.c"])
    done = subprocess.run([tool, function], input=values.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32)


def points(limit: float) -> Float32Array:
    """A million and more points: even ones over the range, and others over all magnitudes of both signs."""
    even = np.linspace(-limit, limit, 1_000_001)
    magnitudes = np.geomspace(1e-38, limit, 200_000)
    return np.concatenate([even, magnitudes, -magnitudes]).astype(np.float32)


@pytest.mark.parametrize(
    ("function", "exact", "limit", "max_ulp", "max_abs"),
    [
        ("exp", np.exp, 88.0, 1, None),
        (str(int(Activation.SIGMOID)), reference.sigmoid, 30.0, 2, 9e-8),
        (str(int(Activation.TANH)), reference.tanh, 12.0, 1, 8e-8),
    ],
    ids=["exp", "sigmoid", "tanh"],
)
def test_errors_are_as_stated(function: str, exact, limit: float, max_ulp: int, max_abs: float | None) -> None:  # type: ignore[no-untyped-def]
    x = points(limit)
    got = firmware(function, x)
    want = exact(x.astype(np.float64))
    ulp = int(ulp_distances(want.astype(np.float32), got).max())
    error = float(np.abs(got - want).max())
    assert ulp <= max_ulp
    if max_abs is not None:
        assert error <= max_abs


def test_exp_at_the_ends_of_its_range() -> None:
    x = np.array(
        [0, -0.0, 88.72283, 88.7229, 200, np.inf, -103.97, -104, -1e30, -np.inf, np.nan, -87.4, -100], np.float32
    )
    with np.errstate(over="ignore", under="ignore"):
        want = np.exp(x.astype(np.float64)).astype(np.float32)
    got = firmware("exp", x)
    finite = np.isfinite(want)
    np.testing.assert_array_equal(got[~finite], want[~finite])
    np.testing.assert_array_equal(got[0:2], [1, 1])
    assert ulp_distances(want[finite], got[finite]).max() <= 1


@pytest.mark.parametrize(
    "kind", [Activation.SIGMOID, Activation.TANH, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2]
)
def test_saturation_and_nan(kind: Activation) -> None:
    x = np.array([1e4, -1e4, 3.4e38, -3.4e38, np.inf, -np.inf, np.nan], np.float32)
    low = -1.0 if kind == Activation.TANH else 0.0
    np.testing.assert_array_equal(firmware(str(int(kind)), x), [1, low, 1, low, 1, low, np.nan])


def test_small_values_survive_tanh() -> None:
    x = np.array([0.0, 1e-45, -1e-45, 1e-39, 1e-20], np.float32)
    got = firmware(str(int(Activation.TANH)), x)
    assert got.tobytes() == x.tobytes(), "denormals are not flushed"


@pytest.mark.parametrize(
    ("kind", "function"),
    [
        (Activation.HARD_SIGMOID, reference.hard_sigmoid),
        (Activation.HARD_SIGMOID_KERAS2, reference.hard_sigmoid_keras2),
    ],
)
def test_hard_sigmoids(kind: Activation, function) -> None:  # type: ignore[no-untyped-def]
    x = points(6.0)
    got = firmware(str(int(kind)), x)
    np.testing.assert_allclose(got, function(x.astype(np.float64)), rtol=0, atol=1.2e-7)
