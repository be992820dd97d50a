"""The whole network in NumPy, in float64, from the published equations and without Keras: a second opinion.

LSTM: Hochreiter & Schmidhuber, "Long Short-Term Memory", Neural Computation 9(8), 1997, with the forget gate of Gers,
Schmidhuber & Cummins, "Learning to Forget: Continual Prediction with LSTM", Neural Computation 12(10), 2000, in the
form and gate order of keras/src/layers/rnn/lstm.py; W, U and b are kernel, recurrent_kernel and bias:

    z    = x_t W + h_{t-1} U + b          four parts of `units` values each: z_i, z_f, z_c, z_o
    i, f, o = g(z_i), g(z_f), g(z_o)      g: recurrent_activation
    c_t  = f c_{t-1} + i a(z_c)           a: activation
    h_t  = o a(c_t)

NaN and infinity are values here: they spread as arithmetic says, without a warning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import DTypeLike

from harness.model.array_types import BoolArray
from harness.model.calls import run_calls
from harness.model.inputs import Inputs
from harness.model.nodes import DenseNode, LstmNode, MergeNode, PoolNode, ScaleNode, Source, as_source, sources_of
from harness.model.spec import ModelSpec
from harness.model.views import OPERATIONS, directed, viewed
from harness.oracle.activations import ACTIVATIONS, Array
from harness.protocol.wire import Operation, Tap


@dataclass(frozen=True)
class LstmRun:
    """What one LSTM layer gave.

    Attributes:
        h: (B, T, units), the output of each step; at a masked step the output before it, zeros before the first.
        c: (B, T, units), the cell state after each step, held over masked steps.
        h_last: (B, units), the hidden state after the last step.
        c_last: (B, units), the cell state after the last step.
        z: (B, T, 4 units), the gates i, f, c, o before their activations; 0 at a masked step.
        gates: (B, T, 4 units), the same behind them.
    """

    h: Array
    c: Array
    h_last: Array
    c_last: Array
    z: Array
    gates: Array


RunLstm: TypeAlias = Callable[[LstmNode, Array, BoolArray | None, Array, Array], LstmRun]
"""What computes an LSTM: takes what `lstm` takes."""


def reference(
    spec: ModelSpec,
    inputs: Inputs,
    dtype: DTypeLike = np.float64,
    *,
    gates: bool = False,
    run_lstm: RunLstm | None = None,
) -> dict[str, Array]:
    """Every tensor that the device is judged by, computed in `dtype`.

    Args:
        spec: the model; its float32 weights are used as they are, widened to `dtype`.
        inputs: x (B, T, input_size), and maybe a mask and initial states; or N calls of them.
        dtype: float64, or float32 for an idea of what any float32 program does.
        gates: the values of the gates are wanted too.
        run_lstm: computes the LSTMs; None: `lstm`. Whoever has their values looks at what each of them reads.

    Returns:
        For each LSTM `<name>.h` and `<name>.c` (B, T, units), `<name>.h_last` and `<name>.c_last` (B, units), where
        they are wanted `<name>.z` and `<name>.gates` (B, T, 4 units); then `output`, or `output.0`, `output.1`, ... of
        a model with several outputs. With calls each has a leading N.
    """
    return run_calls(spec, inputs, lambda call: _one_call(spec, call, dtype, run_lstm or lstm, gates=gates))


def _one_call(spec: ModelSpec, inputs: Inputs, dtype: DTypeLike, run_lstm: RunLstm, *, gates: bool) -> dict[str, Array]:
    tensors: dict[str, Array] = {}
    values: list[Array] = []
    _, run_mask = inputs.seen_by(spec)
    arrays = [array.astype(dtype) for array in inputs.arrays(spec)]
    with np.errstate(all="ignore"):
        for node in spec.nodes:
            read = []
            for source in sources_of(node):
                value = arrays[source.input] if source.node is None else _tapped(spec, source, values, tensors)
                read.append(directed(viewed(value, source, node.phase), source))
            if isinstance(node, LstmNode):
                mask = None if run_mask is None or not node.masked else directed(run_mask, as_source(node.source))
                h0, c0 = read[1:] if node.initial is not None else _initial_states(node, inputs, read[0])
                run = run_lstm(node, read[0], mask, h0, c0)
                names = ("h", "c", "h_last", "c_last", *(("z", "gates") if gates else ()))
                tensors.update({f"{node.name}.{name}": getattr(run, name) for name in names})
                values.append(run.h if node.return_sequences else run.h[:, -1])
            elif isinstance(node, DenseNode):
                values.append(ACTIVATIONS[node.activation](_affine(read[0], node.kernel, node.bias)))
            elif isinstance(node, ScaleNode):
                values.append(read[0] * node.scale.astype(dtype) + node.offset.astype(dtype))
            elif isinstance(node, PoolNode):
                mask = None if run_mask is None else directed(run_mask, as_source(node.source))
                values.append(pooled(node, read[0], mask))
            elif isinstance(node, MergeNode):
                values.append(OPERATIONS[node.operation](read))
            else:
                values.append(ACTIVATIONS[node.activation](read[0]))
    for name, output in zip(spec.output_names, map(as_source, spec.outputs), strict=True):
        tensors[name] = _tapped(spec, output, values, tensors)
    return tensors


def _tapped(spec: ModelSpec, source: Source, values: list[Array], tensors: dict[str, Array]) -> Array:
    """The output of a node, or a state that it ends with."""
    assert source.node is not None
    return values[source.node] if source.tap is Tap.OUTPUT else tensors[spec.state_name(source)]


def lstm(node: LstmNode, x: Array, mask: BoolArray | None, h: Array, c: Array) -> LstmRun:
    """All steps of one LSTM layer, in x's dtype.

    Args:
        node: weights and options.
        x: (B, T, input_size).
        mask: (B, T), False where h and c are held and the output is repeated; None: every step counts.
        h: (B, units), hidden state before the first step.
        c: (B, units), cell state before the first step.
    """
    if x.ndim != 3:
        raise ValueError(f"LSTM {node.name} needs a sequence, not an array of shape {x.shape}")
    gate, activation = ACTIVATIONS[node.recurrent_activation], ACTIVATIONS[node.activation]
    recurrent_kernel = node.recurrent_kernel.astype(x.dtype)
    from_inputs = _affine(x, node.kernel, node.bias)
    output = np.zeros_like(h)
    outputs, cells, sums, gates = [], [], [], []
    for step in range(x.shape[1]):
        z = from_inputs[:, step] + h @ recurrent_kernel
        z_i, z_f, z_c, z_o = np.split(z, 4, axis=-1)
        i, f, candidate, o = gate(z_i), gate(z_f), activation(z_c), gate(z_o)
        new_c = f * c + i * candidate
        new_h = o * activation(new_c)
        valid = np.ones((len(x), 1), dtype=bool) if mask is None else mask[:, step, np.newaxis]
        c = np.where(valid, new_c, c)
        h = np.where(valid, new_h, h)
        output = np.where(valid, new_h, np.zeros_like(new_h) if node.zero_output_for_mask else output)
        outputs.append(output)
        cells.append(c)
        sums.append(np.where(valid, z, np.zeros_like(z)))
        gates.append(np.where(valid, np.concatenate([i, f, candidate, o], axis=-1), np.zeros_like(z)))
    h_steps, c_steps, z_steps, gate_steps = (np.stack(values, axis=1) for values in (outputs, cells, sums, gates))
    return LstmRun(h=h_steps, c=c_steps, h_last=h, c_last=c, z=z_steps, gates=gate_steps)


def pooled(node: PoolNode, x: Array, mask: BoolArray | None) -> Array:
    """All steps of x (B, T, units) as one vector each; of the average masked ones are left out."""
    if node.operation is Operation.MAXIMUM:
        return np.asarray(x.max(axis=1))
    counts = np.ones(x.shape[:2]) if mask is None or not node.masked else mask
    weights = counts.astype(x.dtype)[:, :, np.newaxis]
    return np.asarray((x * weights).sum(axis=1) / weights.sum(axis=1))


def _affine(x: Array, kernel: Array, bias: Array | None) -> Array:
    """The product x W + b over the last axis, in x's dtype."""
    product: Array = x @ kernel.astype(x.dtype)
    return product if bias is None else product + bias.astype(x.dtype)


def _initial_states(node: LstmNode, inputs: Inputs, source: Array) -> tuple[Array, Array]:
    zeros = np.zeros((len(source), node.units), dtype=source.dtype)
    h0 = inputs.initial.get(f"{node.name}.h0", zeros).astype(source.dtype)
    c0 = inputs.initial.get(f"{node.name}.c0", zeros).astype(source.dtype)
    return h0, c0
