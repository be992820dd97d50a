"""Which values inputs make of gates and states: both signs, saturation, zero, and numbers below the normal ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.verdict import Json
from harness.diagnosis.layers import layers_of
from harness.model.inputs import Inputs
from harness.model.nodes import GATES
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array

SATURATED = 1e-3
"""A gate is saturated if its function moves by less per unit of its sum: a sigmoid beyond 6.9, a tanh beyond 4.1."""

_DIFFERENCE = 1e-3

TINY = float(np.finfo(np.float32).tiny)
"""Least normal float32: smaller numbers are denormal."""


@dataclass(frozen=True)
class Values:
    """How many values of each kind there were.

    Attributes:
        negative: below zero.
        zero: exactly zero.
        positive: above zero.
        denormal: not zero, and below the least normal float32.
    """

    negative: int
    zero: int
    positive: int
    denormal: int


@dataclass(frozen=True)
class GateValues:
    """The sums of one gate.

    Attributes:
        negative: below zero.
        positive: above zero.
        saturated_low: so far below that the gate's function hardly moves.
        saturated_high: so far above.
    """

    negative: int
    positive: int
    saturated_low: int
    saturated_high: int


@dataclass(frozen=True)
class Coverage:
    """What values took.

    Attributes:
        inputs: of all inputs.
        states: by LSTM, of its cell states.
        gates: by LSTM and gate i, f, c, o.
    """

    inputs: Values
    states: Mapping[str, Values]
    gates: Mapping[str, Mapping[str, GateValues]]

    @property
    def gaps(self) -> list[str]:
        """What never occurred, for a person."""
        gaps = [f"inputs never {field.name}" for field in fields(Values) if not getattr(self.inputs, field.name)]
        for layer, by_gate in self.gates.items():
            gaps += [
                f"{layer} gate {gate} never {field.name}"
                for gate, values in by_gate.items()
                for field in fields(GateValues)
                if not getattr(values, field.name)
            ]
        return gaps

    def to_json(self) -> dict[str, Json]:
        """The record's `vectors.coverage`."""
        return asdict(self)


def coverage_of(spec: ModelSpec, inputs: Inputs, right: Mapping[str, Array]) -> Coverage:
    """Which values inputs make.

    Args:
        spec: the model.
        inputs: what it is given.
        right: what it gives, with `<layer>.z`.
    """
    given = [inputs.x, *inputs.beside.values(), *inputs.initial.values()]
    states, gates = {}, {}
    for name, layer in layers_of(spec, inputs, right).items():
        states[name] = _values(layer.c[layer.valid])
        sums = np.split(right[f"{name}.z"][layer.valid], len(GATES), axis=-1)
        functions = [layer.node.recurrent_activation] * len(GATES)
        functions[GATES.index("c")] = layer.node.activation
        gates[name] = {
            gate: _gate_values(z, function) for gate, z, function in zip(GATES, sums, functions, strict=True)
        }
    return Coverage(_values(np.concatenate([array.ravel() for array in given])), states, gates)


def _values(array: NDArray[Any]) -> Values:
    magnitude = np.abs(array)
    return Values(
        negative=int(np.count_nonzero(array < 0)),
        zero=int(np.count_nonzero(array == 0)),
        positive=int(np.count_nonzero(array > 0)),
        denormal=int(np.count_nonzero((magnitude > 0) & (magnitude < TINY))),
    )


def _gate_values(z: Array, function: Any) -> GateValues:
    activation = ACTIVATIONS[function]
    with np.errstate(all="ignore"):
        slope = np.abs(activation(z + _DIFFERENCE) - activation(z - _DIFFERENCE)) / (2 * _DIFFERENCE)
    flat = slope < SATURATED
    return GateValues(
        negative=int(np.count_nonzero(z < 0)),
        positive=int(np.count_nonzero(z > 0)),
        saturated_low=int(np.count_nonzero(flat & (z < 0))),
        saturated_high=int(np.count_nonzero(flat & (z > 0))),
    )
