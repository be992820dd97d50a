"""A side against the first one, and a ranking of all."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.changes.same_inputs import other_inputs
from harness.changes.side import Side
from harness.changes.weights import WeightChange, weight_changes
from harness.compare.classes import Row, classify
from harness.compare.tolerance import Tolerance
from harness.compare.verdict import TensorResult, compare, json_number
from harness.model.nodes import gates_of

SCHEMA = "lstm-hil/comparison/1"
"""Name and version of what is written; the version goes up when a field changes its meaning."""

_AXES = 3
"""Of a tensor with steps: sequences, steps, units. Calls come before these."""

_NONE = Tolerance(0.0, 0.0, "none: every difference is told")


@dataclass(frozen=True)
class Change:
    """What is another in a side than in the first one.

    Attributes:
        side: which.
        weights: array by array; None where weights are not known on both sides.
        only_one_has: arrays of weights that only one of the two has.
        tensors: h, c and outputs; `beyond` counts elements that differ at all.
        same_classes: of each output of a classifier, how many samples have the same class on both sides.
        notes: what could not be compared.
    """

    side: Side
    weights: list[WeightChange] | None
    only_one_has: list[str]
    tensors: tuple[TensorResult, ...]
    same_classes: dict[str, Row]
    notes: tuple[str, ...]

    @property
    def output_rmse(self) -> float | None:
        """How far the outputs are from the first side's; None where they cannot be compared."""
        found = [each for each in self.tensors if _is_output(each.name)]
        if not found or any(each.problem for each in found):
            return None
        return max(each.metrics.rmse for each in found)

    def to_json(self) -> dict[str, Any]:
        """An entry of `changes`."""
        return {
            "name": self.side.name,
            "weights": None if self.weights is None else [each.to_json() for each in self.weights],
            "only_one_has": self.only_one_has,
            "tensors": [_tensor_json(each) for each in self.tensors],
            "same_classes": {name: {"right": row.right, "of": row.samples} for name, row in self.same_classes.items()},
            "notes": list(self.notes),
        }


def change_from(first: Side, side: Side) -> Change:
    """What is another in `side` than in `first`.

    Raises:
        UsageError: they are known to be of different inputs: nothing that differs would say anything.
    """
    hashes = [each.fact("inputs", "sha256") for each in (first, side)]
    notes = []
    if None in hashes:
        notes.append("whether both had the same inputs is not known")
    elif hashes[0] != hashes[1]:
        raise other_inputs(first, side)
    notes += _other_tolerances(first, side)
    weights, only_one_has = None, list[str]()
    if first.spec is not None and side.spec is not None:
        weights, only_one_has = weight_changes(first.spec, side.spec)
    else:
        notes.append("the weights are not known: give the model files to compare them")
    has_calls = first.fact("inputs", "calls") is not None or any(each.ndim > _AXES for each in first.tensors.values())
    axes = (_AXES - 1 + has_calls, _AXES + has_calls)
    names = [name for name, array in first.tensors.items() if name in side.tensors and array.ndim in axes]
    if not names:
        notes.append("no tensor is known of both")
    before, after = ({name: each.tensors[name] for name in names} for each in (first, side))
    results = compare(before, after, dict.fromkeys(names, _NONE), has_calls=has_calls, gates_of=gates_of)
    classes = classify(before, after, {}, set(first.classifiers) | set(side.classifiers))
    same = {each.output: each.rows[-1] for each in classes}
    return Change(side, weights, only_one_has, results, same, tuple(notes))


def _other_tolerances(first: Side, side: Side) -> list[str]:
    """A line where what one was allowed the other was not: a verdict of one is then none of the other."""
    given = [each.fact("tolerance") for each in (first, side)]
    if not all(isinstance(each, Mapping) for each in given):
        return []
    before, after = ({name: _limits(each, name) for name in each.fact("tolerance")} for each in (first, side))
    other = [name for name in before if name in after and before[name] != after[name]]
    if not other:
        return []
    more = f" and {len(other) - 1} more" if len(other) > 1 else ""
    rounded = [_limits(each, other[0], ".3g") for each in (first, side)]
    shown = rounded if rounded[0] != rounded[1] else [before[other[0]], after[other[0]]]
    values = f"{shown[0]} in {first.name}, {shown[1]} in {side.name}"
    return [f"the tolerances differ, so verdicts and shares do not compare: {other[0]} has {values}{more}"]


def _limits(side: Side, name: str, digits: str = "") -> str:
    """Both parts of a tolerance, as many digits of each as a format says; by default all."""
    given = {kind: side.number("tolerance", name, kind) for kind in ("atol", "rtol")}
    texts = {kind: format(value, digits) for kind, value in given.items() if value is not None}
    return " ".join(f"{kind} {texts.get(kind, side.fact('tolerance', name, kind))}" for kind in given)


@dataclass(frozen=True)
class Ranked:
    """A side in the ranking.

    Attributes:
        side: which.
        output_rmse: distance of its outputs from the first side's; 0 of that itself.
    """

    side: Side
    output_rmse: float | None


def ranking(first: Side, changes: Sequence[Change]) -> list[Ranked]:
    """All sides, the best first.

    Passed before failed, then the more accurate one, then whose outputs are nearer to
    the first side's, then the cheaper one, then the smaller one. What is not known of a side comes last.
    """
    ranked = [Ranked(first, 0.0), *(Ranked(each.side, each.output_rmse) for each in changes)]
    return sorted(ranked, key=_key)


def comparison_json(first: Side, changes: Sequence[Change]) -> dict[str, Any]:
    """Everything for scripts."""
    in_order = ranking(first, changes)
    return {
        "schema": SCHEMA,
        "first": first.name,
        "sides": [_side_json(side) for side in (first, *(each.side for each in changes))],
        "changes": [each.to_json() for each in changes],
        "ranking": [each.side.name for each in in_order] if len(in_order) > 2 else None,
    }


def _key(ranked: Ranked) -> tuple[float, ...]:
    side = ranked.side
    failed = side.fact("verdict") in ("FAIL", "ERROR")
    accuracy = side.accuracy
    cost = None if side.cost is None else side.cost[0]
    numbers = (None if accuracy is None else -accuracy, ranked.output_rmse, cost, side.memory_bytes)
    return (float(failed), *(math.inf if number is None else float(number) for number in numbers))


def _side_json(side: Side) -> dict[str, Any]:
    cost, share = side.cost, side.largest_share
    return {
        "name": side.name,
        "verdict": side.fact("verdict"),
        "target": side.fact("target", "kind"),
        "kernel": side.fact("kernel"),
        "accuracy": side.accuracy,
        "largest_share": None if share is None else json_number(share),
        "cost_per_step": None if cost is None else cost[0],
        "cost_unit": None if cost is None else cost[1],
        "memory_bytes": side.memory_bytes,
        "parameters": side.number("model", "parameters_total"),
    }


def _tensor_json(result: TensorResult) -> dict[str, Any]:
    known = result.to_json()
    names = ("name", "shape", "elements", "max_abs", "max_rel", "max_ulp", "rmse", "problem", "worst")
    return {
        **{name: known[name] for name in names},
        "different": known["beyond"],
        "first_step": result.first_step_beyond,
    }


def _is_output(name: str) -> bool:
    return name == "output" or name.startswith("output.")
