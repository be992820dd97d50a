"""Each LSTM of a network by itself: what it reads at every step, seen from the values that the LSTMs gave."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.model.array_types import BoolArray
from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.activations import ACTIVATIONS, Array
from harness.oracle.reference import LstmRun, reference
from harness.protocol.wire import Phase


@dataclass(frozen=True)
class LayerSteps:
    """One LSTM and all of its steps, each with the state before it. With calls every array has them as first axis.

    Attributes:
        node: the layer.
        x: (B, T, input_size), what it reads, in the order in which it does.
        valid: (B, T), False at masked steps.
        h_before: (B, T, units), the hidden state before each step.
        c_before: (B, T, units), the cell state before it.
        h: (B, T, units), the output of the step.
        c: (B, T, units), the cell state behind it.
    """

    node: LstmNode
    x: Array
    valid: BoolArray
    h_before: Array
    c_before: Array
    h: Array
    c: Array

    def step(self, place: tuple[int, ...]) -> tuple[Array, Array, Array]:
        """The x, h and c that a step computes with; `place` is (sequence, step), with calls (call, sequence, step)."""
        return self.x[place], self.h_before[place], self.c_before[place]


@dataclass(frozen=True)
class StepValues:
    """What one step computes.

    Attributes:
        z: (..., 4 units), the gates i, f, c, o before their activations.
        gates: (..., 4 units), the same behind them.
        c: (..., units).
        h: (..., units).
    """

    z: Array
    gates: Array
    c: Array
    h: Array


def step_alone(node: LstmNode, x: Array, h: Array, c: Array) -> StepValues:
    """One step of an LSTM from the states before it, for any leading axes, in x's dtype."""
    z = x @ node.kernel.astype(x.dtype) + h @ node.recurrent_kernel.astype(x.dtype)
    return behind_sums(node, z if node.bias is None else z + node.bias.astype(x.dtype), c)


def behind_sums(node: LstmNode, z: Array, c: Array) -> StepValues:
    """The rest of a step, from its sums on."""
    gate, activation = ACTIVATIONS[node.recurrent_activation], ACTIVATIONS[node.activation]
    with np.errstate(all="ignore"):
        z_i, z_f, z_c, z_o = np.split(z, 4, axis=-1)
        i, f, candidate, o = gate(z_i), gate(z_f), activation(z_c), gate(z_o)
        new_c = f * c + i * candidate
        return StepValues(z, np.concatenate([i, f, candidate, o], axis=-1), new_c, o * activation(new_c))


def layers_of(spec: ModelSpec, inputs: Inputs, values: Mapping[str, NDArray[Any]]) -> dict[str, LayerSteps]:
    """Every LSTM with what it reads, taken from values that somebody has: h and c of every step of every LSTM.

    What lies between the LSTMs is computed in float64.

    Args:
        spec: the network.
        inputs: what it was given.
        values: by the names of OUT.npz. Nothing comes of them where an LSTM's h or c is not there.
    """
    wanted = [f"{node.name}.{state}" for _, node in spec.lstm_nodes() for state in ("h", "c")]
    if any(name not in values for name in wanted):
        return {}
    has_calls = inputs.reset_before is not None
    calls: Counter[str] = Counter()
    found: dict[str, list[LayerSteps]] = {}

    def run_lstm(node: LstmNode, x: Array, mask: BoolArray | None, h: Array, c: Array) -> LstmRun:
        call = calls[node.name]
        calls[node.name] += 1
        h_steps, c_steps = (
            values[f"{node.name}.{state}"][call] if has_calls else values[f"{node.name}.{state}"]
            for state in ("h", "c")
        )
        valid = np.ones(x.shape[:2], dtype=np.bool_) if mask is None else np.ascontiguousarray(mask)
        steps = _steps(node, x, valid, h, c, h_steps.astype(x.dtype), c_steps.astype(x.dtype))
        found.setdefault(node.name, []).append(steps)
        last_h = np.where(valid[:, -1, np.newaxis], steps.h[:, -1], steps.h_before[:, -1])
        return LstmRun(steps.h, steps.c, last_h, steps.c[:, -1], steps.h, steps.h)

    reference(spec, inputs, run_lstm=run_lstm)
    return {name: _stacked(steps) if has_calls else steps[0] for name, steps in found.items()}


def alone(node: LstmNode) -> ModelSpec:
    """A network of one step of one LSTM, which begins with any states."""
    plain = replace(
        node, source=None, phase=Phase.EVERY_STEP, return_sequences=True, masked=False, initial=None, h0_input=None,
        c0_input=None, stateful=False,
    )  # fmt: skip
    return ModelSpec(f"{node.name} alone", "x", node.input_size, None, (plain,), (0,))


def _steps(
    node: LstmNode, x: Array, valid: BoolArray, h: Array, c: Array, h_steps: Array, c_steps: Array
) -> LayerSteps:
    h_before, c_before = np.empty_like(h_steps), np.empty_like(c_steps)
    for step in range(x.shape[1]):
        h_before[:, step], c_before[:, step] = h, c
        # The output of a masked step is no state: it is the output before, or zero.
        h = np.where(valid[:, step, np.newaxis], h_steps[:, step], h)
        c = c_steps[:, step]
    return LayerSteps(node, x, valid, h_before, c_before, h_steps, c_steps)


def _stacked(steps: list[LayerSteps]) -> LayerSteps:
    arrays = {
        name: np.stack([getattr(each, name) for each in steps])
        for name in ("x", "valid", "h_before", "c_before", "h", "c")
    }
    return LayerSteps(steps[0].node, **arrays)
