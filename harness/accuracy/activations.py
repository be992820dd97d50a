"""The firmware's activation functions, and the table of tanh of its packed kernels, against float64."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from harness.build.native import compile_host_tool
from harness.build.paths import project_root
from harness.compare.metrics import ulp_distances
from harness.model import tanh_table
from harness.oracle.activations import ACTIVATIONS
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Activation

Float32Array = NDArray[np.float32]
Float64Array = NDArray[np.float64]

SMOOTH = (
    Activation.TANH, Activation.SIGMOID, Activation.EXPONENTIAL, Activation.ELU, Activation.SELU, Activation.SOFTSIGN,
    Activation.SOFTPLUS, Activation.LOG_SIGMOID, Activation.SQUAREPLUS, Activation.SILU, Activation.GELU,
    Activation.MISH, Activation.TANH_SHRINK,
)  # fmt: skip
"""Made of exponentials, roots and quotients, so that they round at many places."""

OF_ALL = (Activation.SOFTMAX, Activation.LOG_SOFTMAX)
"""Over all values of a row together."""

NEAR = 10.0
"""Absolute errors are of inputs up to here: beyond, functions are straight lines, 0 or huge."""

LEAST = 1e-35
"""Smaller results are left out of max_ulp: they are made of denormals, which have few digits."""

BENDS = 20.0
"""From here on, to either side, the functions are straight lines, constants or overflow."""

TABLE_INSIDE = 7.9
"""Errors of the table of tanh are told up to here, where it is polynomials, and from here on, where it soon is 1."""


@dataclass(frozen=True)
class Errors:
    """Distances from float64.

    Attributes:
        max_abs: largest absolute error at inputs of -NEAR to NEAR.
        max_ulp: largest number of float32 steps, of results of LEAST and more, at all float32 inputs.
        max_ulp_up_to: the largest input at which it is so many.
    """

    max_abs: float
    max_ulp: int
    max_ulp_up_to: float


def firmware(kind: Activation, values: Float32Array) -> Float32Array:
    """What the firmware makes of values, or of rows of them where it matters."""
    tool = compile_host_tool("activation_tool", [project_root() / "firmware" / "test" / "activation_tool.c"])
    length = values.shape[-1] if kind in OF_ALL else 1
    done = subprocess.run([tool, str(int(kind)), str(length)], input=values.tobytes(), capture_output=True, check=True)
    return np.frombuffer(done.stdout, np.float32).reshape(values.shape)


def exact(kind: Activation, values: Float32Array) -> Float64Array:
    """The function in float64."""
    with np.errstate(all="ignore"):
        x = values.astype(np.float64)
        y = ACTIVATIONS[kind](x)
        if kind is Activation.TANH_SHRINK:  # the series, where the difference leaves float64 too few digits
            y = np.where(np.abs(x) < 0.01, x**3 * (1 / 3 - x**2 * (2 / 15 - x**2 * 17 / 315)), y)
    return y.astype(np.float64)


def all_decades() -> Float32Array:
    """700,000 float32 values spread over all bit patterns: every exponent, denormals, infinities, NaNs."""
    spread = np.arange(0, 2**32, 6131, dtype=np.uint64).astype(np.uint32).view(np.float32)  # 6131: a prime
    ends = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 3.4028235e38, -3.4028235e38], np.float32)
    return np.concatenate([spread, ends])


def points() -> Float32Array:
    """A million and more: all decades, and even ones where functions bend."""
    return np.concatenate([all_decades(), np.linspace(-BENDS, BENDS, 400_001).astype(np.float32)])


def measure(kind: Activation) -> Errors:
    """The errors of one function."""
    x = points()
    got, want = firmware(kind, x), exact(kind, x)
    counts = np.isfinite(want) & np.isfinite(got)
    near = counts & (np.abs(x) <= NEAR)
    large = counts & (np.abs(want) >= LEAST)
    with np.errstate(all="ignore"):
        steps = ulp_distances(want.astype(np.float32), got)
        errors = np.abs(got - want)
    most = int(steps[large].max())
    return Errors(float(errors[near].max()), most, float(x[large & (steps == most)].max()))


@dataclass(frozen=True)
class TableErrors:
    """Largest absolute errors of the table of tanh.

    Attributes:
        inside: up to TABLE_INSIDE.
        beyond: from there on.
    """

    inside: float
    beyond: float


def table_errors() -> TableErrors:
    """Of the table, on either side of zero."""
    inside = np.linspace(0, TABLE_INSIDE, 1_000_001)
    beyond = np.concatenate([np.linspace(TABLE_INSIDE, BENDS, 100_001), np.geomspace(BENDS, 3.4e38, 10_000)])
    return TableErrors(_table_error(inside), _table_error(beyond))


def _table_error(x: Float64Array) -> float:
    both = np.concatenate([x, -x]).astype(np.float32)
    return float(np.abs(tanh_table.interpolated(both) - np.tanh(both.astype(np.float64))).max())


def keras_saturation() -> float:
    """The least positive input from which on Keras' float32 tanh is 1."""
    first, last = (int(np.float32(end).view(np.int32)) for end in (7, 10))  # 8.3 would round to 1 in exact arithmetic
    x = np.arange(first, last, dtype=np.int32).view(np.float32)
    below = np.flatnonzero(np.asarray(import_keras().ops.tanh(x)) != 1)
    return float(x[below[-1] + 1])
