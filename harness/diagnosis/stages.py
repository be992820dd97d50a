"""Which part of a step is wrong: each is held against float64, from the device's own values before that part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.compare.metrics import absolute_errors
from harness.diagnosis.bisection import Place, Stage
from harness.diagnosis.layers import LayerSteps, StepValues, behind_sums
from harness.model.array_types import Float32Array
from harness.model.nodes import GATES
from harness.oracle.activations import ACTIVATIONS, Array

ULPS_OF_A_PART = 16
"""An activation or a state update that is off by more is wrong: the worst right one is off by 4 (docs/ACCURACY.md)."""

LEAST_SUM = 2.0**-10
"""A sum's errors are counted in ULPs of the sum of its terms' magnitudes, of this where that is less: none matters."""

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
