"""Which values inputs make of gates and states: both signs, saturation, zero, and numbers below the normal ones."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.verdict import Json
from harness.diagnosis.hypotheses import first_steps, reads_forward
from harness.diagnosis.layers import LayerSteps, layers_of
from harness.model.inputs import Inputs
from harness.model.nodes import GATES, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array
from harness.oracle.reference import reference
from harness.protocol.wire import Activation

SATURATED = 1e-3
"""A gate is saturated if its function moves by less per unit of its sum: a sigmoid beyond 6.9, a tanh beyond 4.1."""

_DIFFERENCE = 1e-3

_FAR = 100.0
"""A sum at which every function that ever saturates does: softsign, the slowest, moves by 1e-4 there."""

DENORMAL = np.float32(1e-39)
"""A denormal number that is still one when it was multiplied with a weight of any usual size."""

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
class GateValues(Values):
    """The sums of one gate, before its function, in float32.

    Attributes:
        saturated_low: so far below zero that the gate's function hardly moves.
        saturated_high: so far above.
    """

    saturated_low: int
    saturated_high: int


@dataclass(frozen=True)
class Coverage:
    """What values took.

    Attributes:
        inputs: of all inputs.
        states: by LSTM, of its cell states.
        gates: by LSTM and gate i, f, c, o.
        out_of_reach: LSTM, gate and kind of what no inputs are known to make: a gate with a bias is never exactly at
            zero but by chance, and a ReLU has no upper end.
    """

    inputs: Values
    states: Mapping[str, Values]
    gates: Mapping[str, Mapping[str, GateValues]]
    out_of_reach: frozenset[tuple[str, str, str]]

    @property
    def gaps(self) -> list[str]:
        """What never occurred and other inputs would make, for a person."""
        gaps = [f"inputs never {field.name}" for field in fields(Values) if not getattr(self.inputs, field.name)]
        for layer, by_gate in self.gates.items():
            gaps += [
                f"{layer} gate {gate} never {field.name}"
                for gate, values in by_gate.items()
                for field in fields(GateValues)
                if not getattr(values, field.name) and (layer, gate, field.name) not in self.out_of_reach
            ]
        return gaps

    def to_json(self) -> dict[str, Json]:
        """The record's `vectors.coverage`."""
        counts = asdict(self)
        del counts["out_of_reach"]
        return {**counts, "gaps": self.gaps}


def coverage_of(spec: ModelSpec, inputs: Inputs, right: Mapping[str, Array]) -> Coverage:
    """Which values inputs make.

    Args:
        spec: the model.
        inputs: what it is given.
        right: what it gives, with `<layer>.z`.
    """
    given = [inputs.x, *inputs.beside.values(), *inputs.initial.values()]
    layers = layers_of(spec, inputs, right)
    gates = {name: _gates(layer, right[f"{name}.z"]) for name, layer in layers.items()}
    return Coverage(
        inputs=_values(np.concatenate([array.ravel() for array in given])),
        states={name: _values(layer.c[layer.valid]) for name, layer in layers.items()},
        gates=gates,
        out_of_reach=frozenset(_out_of_reach(spec, inputs, gates)),
    )


def _out_of_reach(
    spec: ModelSpec, inputs: Inputs, gates: Mapping[str, Mapping[str, GateValues]]
) -> Iterator[tuple[str, str, str]]:
    """LSTM, gate and kind of what never occurred and does not for inputs that are made for it either."""
    missing = {
        (layer, gate, field.name)
        for layer, by_gate in gates.items()
        for gate, values in by_gate.items()
        for field in fields(GateValues)
        if not getattr(values, field.name)
    }
    nodes = {node.name: node for _, node in spec.lstm_nodes()}
    for layer, gate, kind in missing:
        if kind.startswith("saturated"):
            far = np.array([-_FAR if kind == "saturated_low" else _FAR])
            if not _is_flat(_function_of(nodes[layer], gate), far).all():
                yield layer, gate, kind
    wanted = {each for each in missing if each[2] in ("zero", "denormal")}
    if wanted:
        made = list(_of_next_to_nothing(spec, inputs))
        for layer, gate, kind in wanted:
            if not any(getattr(each[layer][gate], kind) for each in made):
                yield layer, gate, kind


def _of_next_to_nothing(spec: ModelSpec, inputs: Inputs) -> Iterator[Mapping[str, Mapping[str, GateValues]]]:
    """What gates take where all inputs are zero, and where all are denormal, from states of zero."""
    short = inputs.rows(slice(1))
    if reads_forward(spec):
        short = first_steps(short, 1)
    for value in (np.float32(0), DENORMAL):
        probe = replace(
            short,
            x=np.full_like(short.x, value),
            mask=None,
            initial={name: np.zeros_like(states) for name, states in short.initial.items()},
            beside={name: np.full_like(array, value) for name, array in short.beside.items()},
        )
        made = reference(spec, probe, gates=True)
        yield {name: _gates(layer, made[f"{name}.z"]) for name, layer in layers_of(spec, probe, made).items()}


def _gates(layer: LayerSteps, sums: Array) -> dict[str, GateValues]:
    by_gate = zip(GATES, np.split(sums[layer.valid], len(GATES), axis=-1), strict=True)
    return {gate: _gate_values(z, _function_of(layer.node, gate)) for gate, z in by_gate}


def _function_of(node: LstmNode, gate: str) -> Activation:
    return node.activation if gate == "c" else node.recurrent_activation


def _values(array: NDArray[Any]) -> Values:
    magnitude = np.abs(array)
    return Values(
        negative=int(np.count_nonzero(array < 0)),
        zero=int(np.count_nonzero(array == 0)),
        positive=int(np.count_nonzero(array > 0)),
        denormal=int(np.count_nonzero((magnitude > 0) & (magnitude < TINY))),
    )


def _gate_values(z: Array, function: Activation) -> GateValues:
    with np.errstate(all="ignore"):
        signs = _values(z.astype(np.float32))
    flat = _is_flat(function, z)
    return GateValues(
        **vars(signs),
        saturated_low=int(np.count_nonzero(flat & (z < 0))),
        saturated_high=int(np.count_nonzero(flat & (z > 0))),
    )


def _is_flat(function: Activation, z: Array) -> NDArray[np.bool_]:
    """Where a function hardly moves."""
    activation = ACTIVATIONS[function]
    with np.errstate(all="ignore"):
        slope = np.abs(activation(z + _DIFFERENCE) - activation(z - _DIFFERENCE)) / (2 * _DIFFERENCE)
    flat: NDArray[np.bool_] = slope < SATURATED
    return flat
