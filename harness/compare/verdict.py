"""One result per tensor: how far off, where it is worst, and whether that passes.

What a report needs is JSON without extensions: a number that JSON does not have is the string "NaN", "Infinity" or
"-Infinity", which Python's float() and JavaScript's Number() both read back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import ULP_OF_NAN, Metrics, absolute_errors, measure
from harness.compare.tolerance import Tolerance

Json: TypeAlias = Any
"""What json.dumps(..., allow_nan=False) takes."""

_MEANS = ("rmse", "mae", "mean", "std", "l2r", "nse", "cos")

_AXES: dict[int, tuple[str, ...]] = {3: ("sequence", "step", "unit"), 2: ("sequence", "unit")}

GatesOf: TypeAlias = Callable[[str], Sequence[str]]
"""By a tensor's name the gates whose units are side by side on its last axis; empty: it has units alone."""


def no_gates(_: str) -> Sequence[str]:
    """Of tensors whose last axis is units alone."""
    return ()


def gate_and_unit(place: int, size: int, gates: Sequence[str]) -> tuple[str | None, int]:
    """Whose a place in a last axis is.

    Args:
        place: the place.
        size: of the axis.
        gates: whose units are in it, one gate's behind the other's. An axis that they do not divide has none.
    """
    if not gates or size % len(gates):
        return None, place
    units = size // len(gates)
    return gates[place // units], place % units


def element_text(call: int | None, sequence: int, step: int | None, gate: str | None, unit: int) -> str:
    """An element of a tensor as a person reads it: `call 2 seq 3 step 7 gate f unit 10`, without what it has not."""
    numbers = {"call": call, "seq": sequence, "step": step, "gate": gate, "unit": unit}
    return " ".join(f"{name} {value}" for name, value in numbers.items() if value is not None)


@dataclass(frozen=True)
class Worst:
    """The element whose error is the largest part of what is allowed there; of equals, the one with the largest error.

    Attributes:
        sequence: its place in the batch.
        step: its time step; None in a tensor without steps.
        unit: its place in the last axis; of a tensor with gates, its place in its gate.
        expected: the oracle's value.
        got: the device's value.
        call: its place among the calls of a stateful model; None without calls.
        gate: of a tensor with gates whose it is; None of any other.
    """

    sequence: int
    step: int | None
    unit: int
    expected: float
    got: float
    call: int | None = None
    gate: str | None = None

    def to_json(self) -> dict[str, Json]:
        """The record of contract and report; `call` and `gate` are in it only where there are such."""
        return {
            **({} if self.call is None else {"call": self.call}),
            "sequence": self.sequence,
            "step": self.step,
            **({} if self.gate is None else {"gate": self.gate}),
            "unit": self.unit,
            "expected": json_number(self.expected),
            "got": json_number(self.got),
        }


@dataclass(frozen=True)
class TensorResult:
    """The verdict on one tensor.

    Attributes:
        name: e.g. "lstm.h".
        shape: of the expected tensor; of the other one where none was expected.
        metrics: the distances; every one is infinite where nothing could be compared.
        passed: within its tolerance everywhere.
        marginal: it passed, and an element is in the guard band.
        problem: why nothing could be compared (missing, unexpected, shape, dtype), else "".
        worst: None where nothing could be compared.
        tolerance: None of a tensor that was not expected.
        share: the worst element's error as a share of what is allowed there; infinity where nothing could be compared.
        beyond: how many elements are beyond their tolerance.
        first_step_beyond: the first time step that has one, of any sequence and call; None: there is none, or no steps.
    """

    name: str
    shape: tuple[int, ...]
    metrics: Metrics
    passed: bool
    problem: str
    worst: Worst | None
    tolerance: Tolerance | None
    share: float = math.inf
    beyond: int = 0
    first_step_beyond: int | None = None
    marginal: bool = False

    @property
    def place(self) -> str:
        """Where its worst element is, as `element_text` has it."""
        worst = self.worst
        return "-" if worst is None else element_text(worst.call, worst.sequence, worst.step, worst.gate, worst.unit)

    def to_json(self) -> dict[str, Json]:
        """The record of contract and report."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "max_abs": json_number(self.metrics.max_abs),
            "max_rel": json_number(self.metrics.max_rel),
            "max_ulp": self.metrics.max_ulp,
            **{name: json_number(getattr(self.metrics, name)) for name in _MEANS},
            "share": json_number(self.share),
            "beyond": self.beyond,
            "elements": math.prod(self.shape),
            "first_step_beyond": self.first_step_beyond,
            "pass": self.passed,
            "marginal": self.marginal,
            "problem": self.problem,
            "nan_expected": self.metrics.nan_expected,
            "nan_got": self.metrics.nan_got,
            "worst": self.worst.to_json() if self.worst else None,
        }


def compare(
    expected: Mapping[str, NDArray[np.float32]],
    got: Mapping[str, NDArray[Any]],
    tolerances: Mapping[str, Tolerance],
    *,
    has_calls: bool = False,
    gates_of: GatesOf = no_gates,
) -> tuple[TensorResult, ...]:
    """Holds every tensor of `got` against `expected`.

    Args:
        expected: the oracle's tensors, by name, each of 2 or 3 axes: (B, units) or (B, T, units).
        got: the device's. A missing or an additional one, another shape or another dtype fails.
        tolerances: one for each name in `expected`.
        has_calls: every tensor has the calls of a stateful model as an axis before these.
        gates_of: which gates a tensor has.

    Returns:
        One result per name: in the order of `expected`, then the additional ones of `got` in theirs.
    """
    results = [
        _result(name, array, got.get(name), tolerances[name], has_calls, gates_of(name))
        for name, array in expected.items()
    ]
    results += [
        _not_compared(name, array.shape, "not expected", None, array)
        for name, array in got.items()
        if name not in expected
    ]
    return tuple(results)


def all_passed(results: Iterable[TensorResult]) -> bool:
    """Whether there is a result, and every one passed: nothing compared is nothing proved."""
    results = tuple(results)
    return bool(results) and all(result.passed for result in results)


def json_number(value: float) -> float | str:
    """A float as JSON can hold it."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _result(
    name: str,
    expected: NDArray[np.float32],
    got: NDArray[Any] | None,
    tolerance: Tolerance,
    has_calls: bool,
    gates: Sequence[str],
) -> TensorResult:
    if got is None:
        return _not_compared(name, expected.shape, "missing", tolerance)
    if got.shape != expected.shape:
        return _not_compared(name, expected.shape, f"shape {got.shape}, expected {expected.shape}", tolerance, got)
    if got.dtype != expected.dtype:
        return _not_compared(name, expected.shape, f"dtype {got.dtype}, expected {expected.dtype}", tolerance, got)
    if expected.size == 0:
        return _not_compared(name, expected.shape, "no elements", tolerance, got)
    errors, allowed = absolute_errors(expected, got), tolerance.allowed(expected)
    share = tolerance.shares(expected, got)
    candidates = np.where(share == share.max(), errors, -1.0)
    place = tuple(int(index) for index in np.unravel_index(candidates.argmax(), candidates.shape))
    axes = ("call", *_AXES[expected.ndim - 1]) if has_calls else _AXES[expected.ndim]
    where = dict(zip(axes, place, strict=True))
    gate, unit = gate_and_unit(where["unit"], expected.shape[-1], gates)
    within = np.isfinite(errors) & (errors <= allowed)
    steps_beyond = np.nonzero(~within)[axes.index("step")] if "step" in axes else np.empty(0, np.intp)
    return TensorResult(
        name=name,
        shape=expected.shape,
        metrics=measure(expected, got),
        passed=bool(np.all(within)),
        problem="",
        worst=Worst(
            sequence=where["sequence"],
            step=where.get("step"),
            unit=unit,
            expected=float(expected[place]),
            got=float(got[place]),
            call=where.get("call"),
            gate=gate,
        ),
        tolerance=tolerance,
        share=float(share.max()),
        beyond=int(np.count_nonzero(~within)),
        first_step_beyond=int(steps_beyond.min()) if steps_beyond.size else None,
        marginal=bool(np.all(within) and np.any(errors > tolerance.guarded(expected))),
    )


def _not_compared(
    name: str, shape: tuple[int, ...], problem: str, tolerance: Tolerance | None, got: NDArray[Any] | None = None
) -> TensorResult:
    is_float = got is not None and got.dtype.kind == "f"
    metrics = Metrics(
        max_abs=math.inf,
        max_rel=math.inf,
        max_ulp=ULP_OF_NAN,
        **dict.fromkeys(_MEANS, math.inf),
        nan_expected=0,
        nan_got=int(np.isnan(got).sum()) if got is not None and is_float else 0,
    )
    return TensorResult(name, shape, metrics, False, problem, None, tolerance)
