"""Where values begin to be wrong: the first step, layer, unit and gate; whether that step is wrong by itself; in what.

Pure: what a device computes for the steps that are asked for here comes from `harness.teacher_forced`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import absolute_errors
from harness.compare.tolerance import Tolerance
from harness.compare.verdict import Json, json_number
from harness.diagnosis.layers import LayerSteps, StepValues, behind_sums, step_alone
from harness.model.array_types import Float32Array
from harness.model.nodes import GATES
from harness.model.plan import make_plan
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array

ULPS_OF_A_PART = 16
"""An activation or a state update that is off by more is wrong: the worst right one is off by 4 (docs/ACCURACY.md)."""

LEAST_SUM = 2.0**-10
"""A sum's errors are counted in ULPs of the sum of its terms' magnitudes, of this where that is less: none matters."""

_ENDINGS = ("z", "gates", "c", "h")
"""Tensors of an LSTM that have steps, in the order in which a step computes them."""


@dataclass(frozen=True)
class Place:
    """An element of a tensor.

    Attributes:
        tensor: its name in OUT.npz.
        layer: the LSTM that it is of; None: it is an output of the model.
        call: among the calls of a stateful model, else None.
        sequence: in the batch.
        step: in the order in which the layer goes; None: the tensor has no steps.
        unit: of the layer, or place in the output.
        gate: i, f, c or o, if it is known which one is wrong.
        expected: the oracle's value.
        got: the device's value.
        share: the error as a share of what is allowed.
    """

    tensor: str
    layer: str | None
    call: int | None
    sequence: int
    step: int | None
    unit: int
    gate: str | None
    expected: float
    got: float
    share: float

    @property
    def index(self) -> tuple[int, ...]:
        """(sequence, step), with calls (call, sequence, step)."""
        return tuple(number for number in (self.call, self.sequence, self.step) if number is not None)

    @property
    def text(self) -> str:
        """`seq 0 step 3 unit 5 of lstm.c`."""
        call = "" if self.call is None else f"call {self.call} "
        step = "" if self.step is None else f" step {self.step}"
        gate = "" if self.gate is None else f" gate {self.gate}"
        return f"{call}seq {self.sequence}{step} unit {self.unit}{gate} of {self.tensor}"


@dataclass(frozen=True)
class StepErrors:
    """Largest errors of one step over all units of a layer, in h and c.

    Attributes:
        step: in the order in which the layer goes.
        free_running: of the run, in which each step begins with what the one before gave.
        teacher_forced: of the step alone, from the oracle's h and c; None: not run.
    """

    step: int
    free_running: float
    teacher_forced: float | None


@dataclass(frozen=True)
class Stage:
    """How good one part of a step is.

    Attributes:
        name: bias, input product, recurrent product, sum, activation, state update, output.
        gate: the gate with the largest error; None: the part has no gates.
        unit: the unit of the first wrong element, where the part is wrong there; else the unit with the largest error.
        max_abs: its absolute error against float64, from the device's own values before this part.
        ulp: the same in ULPs, of the sum of the terms' magnitudes where it is a sum.
        limit_ulp: a part that is off by more is wrong.
        expected: float64's value there.
        got: the device's.
    """

    name: str
    gate: str | None
    unit: int
    max_abs: float
    ulp: float
    limit_ulp: float
    expected: float
    got: float

    @property
    def is_wrong(self) -> bool:
        """Farther off than rounding."""
        return not self.ulp <= self.limit_ulp


@dataclass(frozen=True)
class Bisection:
    """Where values begin to be wrong.

    Attributes:
        first: the first element beyond tolerance in the order of computation; if all are within, the nearest to it.
        cause: "local" (the step is wrong also from the oracle's h and c), "accumulated" (it is right by itself: errors
            of steps before grew), "state" (it is right by itself, and did not begin with what the step before gave),
            "mask" (the step is masked, and something was computed), "behind" (all LSTMs are right: what comes behind
            them is not), "unknown" (h and c of every step were not fetched), "none" (all is within tolerance).
        steps: the errors of each step of that sequence and layer.
        stages: the parts of that step, in the order of computation.
    """

    first: Place
    cause: str
    steps: tuple[StepErrors, ...] = ()
    stages: tuple[Stage, ...] = ()

    @property
    def lines(self) -> list[str]:
        """For a person."""
        what = "nearest to its tolerance" if self.cause == "none" else "first beyond tolerance"
        lines = [f"{what} is {self.first.text}: {_TEXTS[self.cause]}"]
        wrong = [stage for stage in self.stages if stage.is_wrong]
        if wrong:
            place = f" gate {wrong[0].gate}" if wrong[0].gate else ""
            lines.append(
                f"in that step the {wrong[0].name} is off by {wrong[0].ulp:.3g} ULP"
                f" ({wrong[0].got:.9g} for {wrong[0].expected:.9g} in unit {wrong[0].unit}{place})"
            )
        elif self.stages:
            lines.append(
                f"each part of that step is right: off by {max(stage.ulp for stage in self.stages):.2g} ULP at most"
            )
        return lines

    def to_json(self) -> dict[str, Json]:
        """The record's `bisect`."""
        numbers = {name: json_number(getattr(self.first, name)) for name in ("expected", "got", "share")}
        return {
            "first": {**asdict(self.first), **numbers},
            "cause": self.cause,
            "text": "; ".join(self.lines),
            "steps": [
                {
                    "step": each.step,
                    "free_running": json_number(each.free_running),
                    "teacher_forced": None if each.teacher_forced is None else json_number(each.teacher_forced),
                }
                for each in self.steps
            ],
            "stages": [
                {
                    **asdict(stage),
                    **{name: json_number(getattr(stage, name)) for name in ("max_abs", "ulp", "expected", "got")},
                    "wrong": stage.is_wrong,
                }
                for stage in self.stages
            ],
        }


_TEXTS = {
    "local": "from Keras' h and c that step alone is wrong too, so the error is made there",
    "accumulated": "from Keras' h and c that step alone is right, so errors of the steps before grew",
    "state": "that step alone is right, so it did not begin with the state that it should",
    "mask": "that step is masked, and its state should be that of the step before",
    "behind": "all LSTMs are right, so what comes behind them is wrong",
    "unknown": "h and c of every step were not fetched, so no more is known (--trace hc, or hil bisect)",
    "none": "all is within tolerance of Keras' values",
}


def first_beyond(
    spec: ModelSpec,
    expected: Mapping[str, Float32Array],
    got: Mapping[str, Float32Array],
    tolerances: Mapping[str, Tolerance],
    *,
    has_calls: bool,
) -> tuple[Place, bool] | None:
    """The first element beyond its tolerance, and True; if there is none, the one nearest to it, and False.

    First is by call, pass, step, and then as a step computes: layer after layer, in each z, gates, c, h. Of several
    that are equally early it is the one with the largest share of its tolerance.

    Args:
        spec: the network.
        expected: the oracle's tensors.
        got: the device's; those of another shape are left out.
        tolerances: by tensor.
        has_calls: every tensor has calls as its first axis.
    """
    beyond: list[tuple[tuple[float, ...], Place]] = []
    within: list[tuple[tuple[float, ...], Place]] = []
    for order, (name, layer) in enumerate(_in_order(spec, expected)):
        if name not in got or got[name].shape != expected[name].shape or not expected[name].size:
            continue
        shares = tolerances[name].shares(expected[name], got[name])
        has_steps = layer is not None and name.endswith(tuple(f".{ending}" for ending in _ENDINGS))
        time, index = _earliest(shares, has_calls=has_calls, has_steps=has_steps)
        values = float(expected[name][index]), float(got[name][index]), float(shares[index])
        place = _place(spec, name, layer, _where(index, has_calls=has_calls), values)
        if time is not None:
            beyond.append(((time[0], _pass_of(spec, layer), time[1], order), place))
        # A step is of more use than a last state, which is the same number.
        within.append(((not has_steps, -place.share), place))
    found = beyond or within
    return (min(found, key=lambda each: each[0])[1], bool(beyond)) if found else None


def _in_order(spec: ModelSpec, tensors: Mapping[str, Any]) -> Iterator[tuple[str, str | None]]:
    """Names of tensors as a step computes them, each with its LSTM; then what is there at the end."""
    names = [node.name for _, node in spec.lstm_nodes()]
    for endings in (_ENDINGS, ("c_last", "h_last")):
        for name in names:
            yield from ((f"{name}.{ending}", name) for ending in endings if f"{name}.{ending}" in tensors)
    yield from ((name, None) for name in spec.output_names if name in tensors)


def _pass_of(spec: ModelSpec, layer: str | None) -> int:
    plan = make_plan(spec)
    indices = {node.name: index for index, node in spec.lstm_nodes()}
    return len(plan.passes) if layer is None else plan.pass_of[indices[layer]]


def _earliest(
    shares: NDArray[np.float64], *, has_calls: bool, has_steps: bool
) -> tuple[tuple[float, float] | None, tuple[int, ...]]:
    """Call and step of the first element beyond tolerance, None if there is none; and the index of the worst there."""
    beyond = ~(shares <= 1)
    if not beyond.any():
        return None, _index(shares)
    with_calls = shares if has_calls else shares[np.newaxis]
    beyond = beyond if has_calls else beyond[np.newaxis]
    call = int(np.argmax(beyond.reshape(len(beyond), -1).any(axis=1)))
    step: float = np.inf
    chosen = np.where(beyond, with_calls, -1.0)
    chosen[:call], chosen[call + 1 :] = -1.0, -1.0
    if has_steps:
        steps = beyond[call].any(axis=tuple(axis for axis in range(beyond[call].ndim) if axis != 1))
        step = int(np.argmax(steps))
        chosen[:, :, :step], chosen[:, :, step + 1 :] = -1.0, -1.0
    index = _index(chosen)
    return (call, step), index if has_calls else index[1:]


def _index(values: NDArray[np.float64]) -> tuple[int, ...]:
    return tuple(int(number) for number in np.unravel_index(values.argmax(), values.shape))


def _place(
    spec: ModelSpec, name: str, layer: str | None, where: tuple[int, ...], values: tuple[float, float, float]
) -> Place:
    """A place by (call or -1, sequence, step or -1, place in the last axis) and its expected, got and share."""
    call, sequence, step, unit = where
    gate = None
    if layer is not None and name.endswith((".z", ".gates")):
        units = next(node.units for _, node in spec.lstm_nodes() if node.name == layer)
        gate, unit = GATES[unit // units], unit % units
    expected, got, share = values
    some_call, some_step = None if call < 0 else call, None if step < 0 else step
    return Place(name, layer, some_call, sequence, some_step, unit, gate, expected, got, share)


def _where(index: tuple[int, ...], *, has_calls: bool) -> tuple[int, ...]:
    """(call or -1, sequence, step or -1, place in the last axis) of an index into a tensor."""
    call, rest = (index[0], index[1:]) if has_calls else (-1, index)
    return (call, *rest) if len(rest) == 3 else (call, rest[0], -1, rest[1])


def teacher_forced_steps(layer: LayerSteps, place: Place, most: int) -> list[int]:
    """The steps of the place's sequence that are to be run alone: all of them, or as many around the place."""
    count = layer.x.shape[-2]
    last = min(count, max(most, (place.step or 0) + most // 2))
    steps = range(max(0, last - most), last)
    return [step for step in steps if layer.valid[(*place.index[:-1], step)]]


def free_running_errors(layer: LayerSteps, got: LayerSteps, place: Place) -> list[float]:
    """The largest error in h and c of each step of the place's sequence."""
    row = place.index[:-1]
    errors = [absolute_errors(getattr(layer, name)[row], getattr(got, name)[row]) for name in ("h", "c")]
    return [float(error) for error in np.maximum(*errors).max(axis=-1)]


def began_with_another_state(layer: LayerSteps, place: Place, allowed: float) -> bool:
    """Whether a step's h and c do not follow from what the device itself gave in the step before.

    Args:
        layer: the steps by the device's own values.
        place: which step.
        allowed: by how much they may differ from what float64 makes of it.
    """
    values = step_alone(layer.node, *(np.asarray(each, dtype=np.float64) for each in layer.step(place.index)))
    errors = max(
        float(absolute_errors(values.c, layer.c[place.index]).max()),
        float(absolute_errors(values.h, layer.h[place.index]).max()),
    )
    return not errors <= allowed


Step = tuple[Float32Array, Float32Array, Float32Array]
"""The x, h and c of a step."""


def probes(x: Float32Array, h: Float32Array, c: Float32Array) -> list[Step]:
    """Steps that show the parts of a sum one by one: the bias alone, with x, with h, and all of it."""
    no_x, no_h = np.zeros_like(x), np.zeros_like(h)
    return [(no_x, no_h, c), (x, no_h, c), (no_x, h, c), (x, h, c)]


def stages_of(layer: LayerSteps, step: Step, probed: list[StepValues], unit: int) -> tuple[Stage, ...]:
    """How good each part of a step is, from the device's values for `probes` of it.

    Args:
        layer: the LSTM.
        step: what the step computes with.
        probed: the device's values.
        unit: shown where it is wrong; else the worst one is.
    """
    node = layer.node
    x, h, c = (each.astype(np.float64) for each in step)
    kernel, recurrent_kernel = node.kernel.astype(np.float64), node.recurrent_kernel.astype(np.float64)
    bias = np.zeros(4 * node.units) if node.bias is None else node.bias.astype(np.float64)
    of_bias, with_x, with_h, whole = (values.z.astype(np.float64) for values in probed)
    of_x, of_h = np.abs(x) @ np.abs(kernel), np.abs(h) @ np.abs(recurrent_kernel)
    got = probed[-1]
    right = behind_sums(node, got.z.astype(np.float64), c)
    gates = np.split(got.gates.astype(np.float64), len(GATES))
    new_c = gates[1] * c + gates[0] * gates[2]
    new_h = gates[3] * ACTIVATIONS[node.activation](got.c.astype(np.float64))
    terms = node.input_size + node.units
    sums = (
        ("bias", of_bias, bias, np.abs(bias), 0),
        ("input product", with_x - of_bias, x @ kernel, of_x + np.abs(bias), node.input_size),
        ("recurrent product", with_h - of_bias, h @ recurrent_kernel, of_h + np.abs(bias), node.units),
        ("sum", whole, with_x + with_h - of_bias, of_x + of_h + np.abs(bias), terms),
    )
    stages = [
        _stage(name, values, exact, np.maximum(scale, LEAST_SUM), count + ULPS_OF_A_PART, unit)
        for name, values, exact, scale, count in sums
    ]
    behind = (
        ("activation", got.gates, right.gates),
        ("state update", got.c, new_c),
        ("output", got.h, new_h),
    )
    for name, values, exact in behind:
        stages.append(_stage(name, values, exact, np.maximum(np.abs(exact), 1.0), ULPS_OF_A_PART, unit))
    return tuple(stages)


def _stage(name: str, values: Array, exact: Array, scale: Array, limit_ulp: float, wanted: int) -> Stage:
    """One part; its values are of all gates, or of the units alone."""
    errors = absolute_errors(exact, values)
    with np.errstate(all="ignore"):
        ulps = np.where(errors == 0, 0.0, errors / np.spacing(scale.astype(np.float32)).astype(np.float64))
    is_of_gates = name in ("bias", "input product", "recurrent product", "sum", "activation")
    units = len(errors) // len(GATES) if is_of_gates else len(errors)
    of_wanted = np.where(np.arange(len(ulps)) % units == wanted, ulps, 0.0)
    worst = int(np.argmax(of_wanted if not of_wanted.max() <= limit_ulp else ulps))
    return Stage(
        name=name,
        gate=GATES[worst // units] if is_of_gates else None,
        unit=worst % units,
        max_abs=float(errors[worst]),
        ulp=float(ulps[worst]),
        limit_ulp=limit_ulp,
        expected=float(exact[worst]),
        got=float(values[worst]),
    )


def with_gate(place: Place, stages: tuple[Stage, ...]) -> Place:
    """The place with the gate that the first wrong part of its step points to."""
    gate = next((stage.gate for stage in stages if stage.is_wrong), None)
    return place if gate is None or place.gate is not None else replace(place, gate=gate)
