"""What tolerance is right for a model on these inputs, by what has been measured there."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from harness.compare.tolerance import DEFAULT_RTOL, Tolerance, distance_to_float64
from harness.compare.verdict import Json, json_number
from harness.diagnosis.score import Unseen, score
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference

MARGIN = 2.0
"""Keras and a right device may be off to either side; on other inputs, each by somewhat more than on these."""

BATCH_SPREAD = 1.5e-7
"""What Keras' own h moves by with the number of sequences in a call (docs/ACCURACY.md): the least that makes sense."""


@dataclass(frozen=True)
class Advice:
    """A tolerance for one tensor.

    Attributes:
        atol: absolute part.
        rtol: relative part.
        keras: Keras' distance from float64 on these inputs.
        device: the device's; of one that failed, NumPy float32's in its place.
        reason: how atol follows.
    """

    atol: float
    rtol: float
    keras: float
    device: float
    reason: str

    def to_json(self) -> dict[str, Json]:
        """An entry of the record's `tolerance_advice`."""
        numbers = {name: json_number(getattr(self, name)) for name in ("atol", "rtol", "keras", "device")}
        return {**numbers, "reason": self.reason}


def advise(
    spec: ModelSpec,
    inputs: Inputs,
    keras: Mapping[str, float],
    got: Mapping[str, Float32Array],
    *,
    passed: bool,
    gates: bool = False,
) -> dict[str, Advice]:
    """A tolerance for each tensor that was compared.

    Args:
        spec: the model.
        inputs: what it was given.
        keras: Keras' distance from float64, by tensor.
        got: what the device computed.
        passed: the device's values may be taken for right ones.
        gates: those of the gates too.
    """
    float64 = reference(spec, inputs, gates=gates)
    others = got if passed else reference(spec, inputs, np.float32, gates=gates)
    known = {name: array for name, array in others.items() if name in keras and name in float64}
    known = {name: array for name, array in known.items() if array.shape == float64[name].shape}
    who = "the device's" if passed else "NumPy float32's"
    return {name: _advice(keras[name], distance, who) for name, distance in distance_to_float64(known, float64).items()}


def _advice(keras: float, device: float, who: str) -> Advice:
    atol = _rounded_up(MARGIN * max(keras + device, BATCH_SPREAD))
    reason = f"{MARGIN:g} times the sum of Keras' distance of {keras:.2g} from float64 and {who} of {device:.2g}"
    if keras + device < BATCH_SPREAD:
        reason = f"{MARGIN:g} times the {BATCH_SPREAD:g} that Keras moves by with the number of sequences"
    return Advice(atol, DEFAULT_RTOL, keras, device, f"atol is {reason}; rtol is the default {DEFAULT_RTOL:g}")


def _rounded_up(value: float) -> float:
    """To two digits, as a person would write it."""
    if not 0 < value < math.inf:
        return value
    unit = 10.0 ** (math.floor(math.log10(value)) - 1)
    return float(f"{math.ceil(value / unit - 1e-9) * unit:.2g}")


def hidden_by(
    spec: ModelSpec, inputs: Inputs, derived: Mapping[str, Tolerance], unseen: Iterable[Unseen]
) -> list[Unseen]:
    """The mistakes that would pass a given tolerance and fail the derived one.

    Args:
        spec: the model.
        inputs: what it was given.
        derived: the tolerances that would be in force without the given ones.
        unseen: what passes those in force.
    """
    unseen = list(unseen)
    if not unseen:
        return []
    strict = score(spec, inputs, derived)
    not_known = {(each.name, each.layer) for each in strict.unseen}.union(strict.untried)
    return [each for each in unseen if (each.name, each.layer) not in not_known]
