"""What the pictures of a report show, as numbers: errors by step and by unit, a histogram in ULP, saturated gates.

NumPy only. Calls of a stateful model follow each other on the axis of steps, as they do in time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import Float64Array, absolute_errors, ulp_distances
from harness.compare.tolerance import Tolerance
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import GATES, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.activations import Array
from harness.oracle.reference import reference
from harness.protocol.wire import Activation

MOST_STEPS, MOST_UNITS = 160, 128
"""Cells of a heat map: more cannot be told apart on a screen, and each takes a byte or two of the page."""

MOST_GATE_VALUES = 4_000_000
"""Of longer runs the float64 reference computes the gates of the first sequences only: a second of time."""

SATURATED = 0.01
"""A gate is saturated this close to an end of its activation's range, as a share of the range's half: the slope of
sigmoid and tanh there is a fiftieth of what it is in the middle."""

_ENDS: dict[Activation, tuple[float | None, float | None]] = {
    Activation.SIGMOID: (0, 1),
    Activation.HARD_SIGMOID: (0, 1),
    Activation.HARD_SIGMOID_KERAS2: (0, 1),
    Activation.SPARSE_SIGMOID: (0, 1),
    Activation.TANH: (-1, 1),
    Activation.HARD_TANH: (-1, 1),
    Activation.SOFTSIGN: (-1, 1),
    Activation.RELU: (0, None),
    Activation.RELU6: (0, 6),
}
"""Where a gate is saturated; a gate with another activation has no ends that would mean something."""


@dataclass(frozen=True)
class Steps:
    """The errors of one tensor over the steps.

    Attributes:
        tensor: its name.
        largest: (T), of all sequences and units; infinite where a NaN or an infinity is not matched.
        rms: (T), root of the mean square; infinite likewise.
        atol: the absolute part of its tolerance.
        by_unit: (units, T), each binned to what a heat map can show; the largest of the cell and of all sequences.
        shape: (units, T) before that.
    """

    tensor: str
    largest: Float64Array
    rms: Float64Array
    atol: float
    by_unit: Float64Array
    shape: tuple[int, int]


@dataclass(frozen=True)
class Trajectory:
    """One unit of one sequence over the steps: that of the worst element.

    Attributes:
        tensor: its name.
        sequence: which sequence.
        unit: which unit.
        expected: (T), what it is judged by.
        got: (T), the device's.
    """

    tensor: str
    sequence: int
    unit: int
    expected: Float32Array
    got: Float32Array


@dataclass(frozen=True)
class Saturation:
    """How much of a layer's gates is at an end of their activation, as shares of all values.

    Attributes:
        layer: its name.
        low: by gate; None where there is no lower end.
        high: by gate; None where there is no upper one.
    """

    layer: str
    low: dict[str, float | None]
    high: dict[str, float | None]


def by_time(array: NDArray[Any], *, has_calls: bool) -> NDArray[Any]:
    """(B, T, units) as it is, (N, B, T, units) as (B, N T, units)."""
    if not has_calls:
        return array
    calls, batch, steps, units = array.shape
    return array.transpose(1, 0, 2, 3).reshape(batch, calls * steps, units)


def has_steps(array: NDArray[Any], *, has_calls: bool) -> bool:
    """Whether a tensor has an axis of steps."""
    return array.ndim == 3 + has_calls


def steps_of(tensor: str, expected: Float32Array, got: Float32Array, tolerance: Tolerance, *, has_calls: bool) -> Steps:
    """Errors over the steps; `expected` and `got` are of one shape, and have steps."""
    errors = by_time(absolute_errors(expected, got), has_calls=has_calls)
    largest = errors.max(axis=0)  # (T, units)
    with np.errstate(all="ignore"):
        rms = np.sqrt(np.mean(np.square(errors), axis=(0, 2)))
    by_unit = _binned(_binned(largest.T, MOST_UNITS, axis=0), MOST_STEPS, axis=1)
    return Steps(tensor, largest.max(axis=1), rms, tolerance.atol, by_unit, (largest.shape[1], largest.shape[0]))


def trajectory_of(tensor: str, expected: Float32Array, got: Float32Array, *, has_calls: bool) -> Trajectory:
    """The unit of the sequence with the largest error."""
    a, b = (by_time(array, has_calls=has_calls) for array in (expected, got))
    sequence, _, unit = np.unravel_index(int(absolute_errors(a, b).argmax()), a.shape)
    return Trajectory(tensor, int(sequence), int(unit), a[sequence, :, unit], b[sequence, :, unit])


def ulp_histogram(expected: Float32Array, got: Float32Array) -> NDArray[np.int64]:
    """How many elements are 0, 1, 2 to 3, 4 to 7, ... ULP off: 34 counts, the last one of a NaN and a number."""
    distances = ulp_distances(expected, got).ravel()
    return np.bincount(np.frexp(distances.astype(np.float64))[1], minlength=34)


def saturation(spec: ModelSpec, inputs: Inputs, traced: Mapping[str, Float32Array]) -> tuple[Saturation, ...]:
    """Of every LSTM how much of its gates is saturated.

    Args:
        spec: the model.
        inputs: what it was given.
        traced: the device's `<layer>.gates`, where they were traced; else the float64 reference computes them.
    """
    gates: Mapping[str, Array] = traced
    nodes = [node for _, node in spec.lstm_nodes()]
    if not all(f"{node.name}.gates" in traced for node in nodes):
        gates = reference(spec, _shortened(spec, inputs), gates=True)
    return tuple(_saturation(node, gates[f"{node.name}.gates"]) for node in nodes)


def _shortened(spec: ModelSpec, inputs: Inputs) -> Inputs:
    """As many sequences as can be computed while somebody waits, but at least one; calls are never cut."""
    if inputs.reset_before is not None:
        return inputs
    units = sum(node.units for _, node in spec.lstm_nodes())
    rows = max(1, MOST_GATE_VALUES // (len(GATES) * units * inputs.steps))
    return inputs.rows(slice(0, rows)) if rows < inputs.batch else inputs


def _saturation(node: LstmNode, gates: Array) -> Saturation:
    low: dict[str, float | None] = {}
    high: dict[str, float | None] = {}
    gates = gates[np.any(gates != 0, axis=-1)]  # masked steps are all zeros, and no gate was there
    for gate, values in zip(GATES, np.split(gates, len(GATES), axis=-1), strict=True):
        activation = node.activation if gate == "c" else node.recurrent_activation
        least, most = _ENDS.get(activation, (None, None))
        margin = SATURATED * (1 if least is None or most is None else (most - least) / 2)
        low[gate] = None if least is None else _share(values <= least + margin)
        high[gate] = None if most is None else _share(values >= most - margin)
    return Saturation(node.name, low, high)


def _share(counted: NDArray[np.bool_]) -> float:
    return float(counted.mean()) if counted.size else 0.0


def _binned(values: Float64Array, most: int, axis: int) -> Float64Array:
    """Neighbours put together by their largest, so that there are at most `most` along the axis."""
    size = values.shape[axis]
    if size <= most:
        return values
    starts = np.arange(0, size, -(-size // most))
    return np.maximum.reduceat(values, starts, axis=axis)
