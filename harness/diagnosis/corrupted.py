"""Which one weight has another value, of an LSTM found from h and c of every step without trying all weights.

Each step is computed again in float64 from the values that the device itself gave for the step before, so that an
error shows only where it is made: one wrong weight leaves all units but its own right. What its sum must have been
follows from the unit's c or h; over all steps that is the wrong weight's change times what it is multiplied with, which
one column of inputs explains and the others do not. Flipped bits, whose change may be too large to be solved for, are
tried one by one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.compare.verdict import Json, json_number
from harness.diagnosis.corrupted_dense import find_in_head
from harness.diagnosis.explain import MARGIN, Diagnosis, Fit
from harness.diagnosis.hypotheses import Hypothesis
from harness.diagnosis.layers import LayerSteps, layers_of, step_alone
from harness.diagnosis.mutations import WEIGHT_CORRUPTED
from harness.diagnosis.runs import Run
from harness.diagnosis.solve import LEAST_ERROR, LEAST_STEPS, changes_of_sums, explained_by
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.nodes import GATES, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array

_TRIED = 6
"""Weights that are held against all values, the best first."""


@dataclass(frozen=True)
class Unit:
    """All steps of one unit, from the device's own values before each. N is steps of all sequences that count.

    Attributes:
        node: its layer.
        unit: which one.
        columns: (N, input_size + units + 1), what its weights are multiplied with: x, h, and 1 for the bias.
        z: (N, 4), the sums by the right weights.
        c_before: (N).
        c: (N), what the device made of it.
        h: (N).
    """

    node: LstmNode
    unit: int
    columns: Array
    z: Array
    c_before: Array
    c: Array
    h: Array

    def computed(self, z: Array) -> tuple[Array, Array]:
        """The c and h that sums lead to; z is (4, ...), the rest broadcasts with (N)."""
        gate, activation = ACTIVATIONS[self.node.recurrent_activation], ACTIVATIONS[self.node.activation]
        with np.errstate(all="ignore"):
            i, f, candidate, o = gate(z[0]), gate(z[1]), activation(z[2]), gate(z[3])
            c = f * self.c_before + i * candidate
            return c, o * activation(c)

    def errors(self, z: Array) -> Array:
        """Squared errors of c and h, summed over the steps (the last axis)."""
        c, h = self.computed(z)
        with np.errstate(all="ignore"):
            total = np.square(c - self.c) + np.square(h - self.h)
        return np.asarray(np.where(np.isfinite(total), total, np.inf).sum(axis=-1))


@dataclass(frozen=True)
class Candidate:
    """A weight and the value that it would have.

    Attributes:
        gate: place in GATES.
        column: of `Unit.columns`.
        value: float32.
        bit: the flipped bit, None: it is no single one.
        error: what it leaves, to find the best one.
    """

    gate: int
    column: int
    value: np.float32
    bit: int | None
    error: float


def find_corrupted_weight(
    spec: ModelSpec, inputs: Inputs, values: Mapping[str, Float32Array], fit: Callable[[Hypothesis], Fit]
) -> Diagnosis | None:
    """The one weight that has another value, None where none explains the values. See `explain.Search`.

    Where every LSTM is right by itself, or nothing is known of it, the Dense layers that are outputs are searched.

    Args:
        spec: the right model.
        inputs: what it was given.
        values: h and c of every step of every LSTM, by the names of OUT.npz.
        fit: how well a hypothesis fits.
    """
    unit = _worst_unit(layers_of(spec, inputs, values))
    if unit is None:
        return find_in_head(spec, inputs, values, fit)
    plain = fit(Hypothesis("", "", None, Run(spec, inputs)))
    # A value that is solved for fits a little better than the very one that a flipped bit gave.
    candidates = [*_solved(unit), *_flipped(unit)]
    candidates.sort(key=lambda each: each.error if each.bit is None else each.error / 2)
    for candidate in candidates[:_TRIED]:
        hypothesis, weight = _hypothesis(spec, inputs, unit, candidate)
        found = fit(hypothesis)
        if found.explains and found.rms * MARGIN <= plain.rms:
            return Diagnosis(hypothesis.name, hypothesis.layer, found.residual, found.share, hypothesis.text, weight)
    return None


def _worst_unit(layers: Mapping[str, LayerSteps]) -> Unit | None:
    """The unit whose steps do not follow from each other, of the first layer that has one."""
    for layer in layers.values():
        x, h, c = (each[layer.valid].astype(np.float64) for each in (layer.x, layer.h_before, layer.c_before))
        got_c, got_h = layer.c[layer.valid].astype(np.float64), layer.h[layer.valid].astype(np.float64)
        right = step_alone(layer.node, x, h, c)
        with np.errstate(all="ignore"):
            errors = np.maximum(np.abs(right.c - got_c) / np.maximum(1, np.abs(right.c)), np.abs(right.h - got_h))
        errors = np.where(np.isfinite(errors), errors, np.inf)
        if not errors.size or errors.max() <= LEAST_ERROR:
            continue
        unit = int(np.argmax(errors.max(axis=0)))
        if np.count_nonzero(errors[:, unit] > LEAST_ERROR) < LEAST_STEPS:
            return None
        columns = np.concatenate([x, h, np.ones((len(x), 1))], axis=1)
        z = right.z.reshape(len(x), len(GATES), -1)[:, :, unit]
        return Unit(layer.node, unit, columns, z, c[:, unit], got_c[:, unit], got_h[:, unit])
    return None


def _solved(unit: Unit) -> list[Candidate]:
    """For each gate the columns that explain best what its sum must have been."""
    candidates = []
    for gate in range(len(GATES)):
        observed = unit.h if gate == GATES.index("o") else unit.c
        changes, slopes = changes_of_sums(_seen_of(unit, gate), unit.z[:, gate], observed)
        for column, change in explained_by(unit.columns, changes, slopes):
            value = np.float32(_weight(unit, gate, column) + change)
            error = float(unit.errors(_with_change(unit, gate, column, float(value))))
            candidates.append(Candidate(gate, column, value, None, error))
    return candidates


def _seen_of(unit: Unit, gate: int) -> Callable[[Array], Array]:
    """What a gate's sum leads to: c, or h from the c that the device had, so that o alone is asked for."""
    activation, function = ACTIVATIONS[unit.node.activation], ACTIVATIONS[unit.node.recurrent_activation]

    def c_of(sums: Array) -> Array:
        z = unit.z.T.copy()
        z[gate] = sums
        return unit.computed(z)[0]

    return (lambda sums: function(sums) * activation(unit.c)) if gate == GATES.index("o") else c_of


def _flipped(unit: Unit) -> list[Candidate]:
    """The flipped bit that explains best, of each gate and bit."""
    candidates = []
    for gate in range(len(GATES)):
        weights = np.array([_weight(unit, gate, column) for column in range(unit.columns.shape[1])], dtype=np.float32)
        for bit in range(32):
            flipped = (weights.view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)
            with np.errstate(all="ignore"):
                change = flipped.astype(np.float64) - weights
                z = np.broadcast_to(unit.z.T[:, np.newaxis], (len(GATES), len(weights), len(unit.z))).copy()
                z[gate] += change[:, np.newaxis] * unit.columns.T
            errors = unit.errors(z)
            column = int(np.argmin(errors))
            candidates.append(Candidate(gate, column, flipped[column], bit, float(errors[column])))
    return [replace(each, bit=None) if _is_one_of_several(each, candidates) else each for each in candidates]


def _is_one_of_several(candidate: Candidate, candidates: list[Candidate]) -> bool:
    """Whether another bit explains as well: each of several makes the weight as good as zero, or as infinite."""
    same = (each for each in candidates if (each.gate, each.column) == (candidate.gate, candidate.column))
    return sum(each.error <= 2 * candidate.error for each in same) > 1


def _with_change(unit: Unit, gate: int, column: int, value: float) -> Array:
    z = unit.z.T.copy()
    z[gate] += (value - _weight(unit, gate, column)) * unit.columns[:, column]
    return z


def _weight(unit: Unit, gate: int, column: int) -> float:
    array, row, place = _position(unit.node, unit.unit, gate, column)
    if array == "bias":
        return 0.0 if unit.node.bias is None else float(unit.node.bias[place])
    return float(getattr(unit.node, array)[row, place])


def _position(node: LstmNode, unit: int, gate: int, column: int) -> tuple[str, int | None, int]:
    """Array, row and column of a weight in Keras' arrays."""
    place = gate * node.units + unit
    if column < node.input_size:
        return "kernel", column, place
    if column < node.input_size + node.units:
        return "recurrent_kernel", column - node.input_size, place
    return "bias", None, place


def _hypothesis(
    spec: ModelSpec, inputs: Inputs, unit: Unit, candidate: Candidate
) -> tuple[Hypothesis, dict[str, Json]]:
    node = unit.node
    array, row, place = _position(node, unit.unit, candidate.gate, candidate.column)
    old = getattr(node, array)
    changed = np.zeros(4 * node.units, np.float32) if old is None else old.copy()
    changed[place if row is None else (row, place)] = candidate.value
    arrays: dict[str, Any] = {array: changed}
    wrong = replace(node, **arrays)
    nodes = tuple(wrong if each.name == node.name else each for each in spec.nodes)
    expected = _weight(unit, candidate.gate, candidate.column)
    gate = GATES[candidate.gate]
    index = f"{place}" if row is None else f"{row}, {place}"
    flipped = "" if candidate.bit is None else f", bit {candidate.bit} of it flipped"
    text = (
        f"one weight is {candidate.value:.9g} for {expected:.9g}: {array}[{index}] of '{node.name}', "
        f"gate {gate} of unit {unit.unit}{flipped}"
    )
    weight: dict[str, Json] = {
        "layer": node.name,
        "array": array,
        "row": row,
        "column": place,
        "gate": gate,
        "unit": unit.unit,
        "expected": expected,
        "got": json_number(float(candidate.value)),
        "bit": candidate.bit,
    }
    run = Run(replace(spec, nodes=nodes), inputs)
    return Hypothesis(WEIGHT_CORRUPTED.name, text, node.name, run), weight
