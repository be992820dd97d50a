"""The worked examples that the project was made from, as models with inputs and expected values. NumPy only.

    no_bias_16_32    16 inputs, 32 units, no bias, weights rounded to 4 decimals
    worked_example   1 input, 3 units, published weights and x = 0.83467698, one step, checked by hand
    linear_by_hand   2 inputs, 3 units, small whole numbers, no activation functions: exact in any arithmetic
    rows_of_an_image 28 rows of 28 pixels, 75 units, a classifier of 10: for its numbers of parameters

Every model has one LSTM, named "lstm".
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from harness.model.array_types import Float32Array, Float64Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import ActivationNode, DenseNode, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.wire import Activation, Phase


@dataclass(frozen=True)
class SeedCase:
    """A model, its inputs, and what comes out.

    Attributes:
        spec: the model.
        inputs: (B, T, input_size).
        expected: float64, by the names of the output file: lstm.h, lstm.c, lstm.h_last, lstm.c_last, output.
        exact: float32 holds every value on the way, so any correct program gives these very numbers.
    """

    spec: ModelSpec
    inputs: Inputs
    expected: dict[str, Float64Array]
    exact: bool


def single_lstm(
    kernel: Float64Array,
    recurrent_kernel: Float64Array,
    bias: Float64Array | None,
    activation: Activation = Activation.TANH,
    recurrent_activation: Activation = Activation.SIGMOID,
    *,
    zero_output_for_mask: bool = False,
    return_sequences: bool = True,
) -> ModelSpec:
    """A model of one LSTM, whose output is the model's."""
    node = LstmNode(
        name="lstm",
        source=None,
        phase=Phase.EVERY_STEP,
        kernel=kernel.astype(np.float32),
        recurrent_kernel=recurrent_kernel.astype(np.float32),
        bias=None if bias is None else bias.astype(np.float32),
        activation=activation,
        recurrent_activation=recurrent_activation,
        zero_output_for_mask=zero_output_for_mask,
        return_sequences=return_sequences,
    )
    return ModelSpec("seed", "x", kernel.shape[0], None, (node,), (0,))


def random_lstm(input_size: int, units: int, seed: int = 0, *, bias: bool = True, scale: float = 1.0) -> ModelSpec:
    """A model of one LSTM with Glorot-uniform weights times `scale`, and random biases, 1 more for the forget gate."""
    generator = np.random.default_rng(seed)
    limit = scale * math.sqrt(6 / (input_size + 4 * units))
    recurrent_limit = scale * math.sqrt(6 / (5 * units))
    forget = np.repeat([0.0, 1.0, 0.0, 0.0], units)
    return single_lstm(
        generator.uniform(-limit, limit, (input_size, 4 * units)),
        generator.uniform(-recurrent_limit, recurrent_limit, (units, 4 * units)),
        forget + 0.1 * generator.standard_normal(4 * units) if bias else None,
    )


def random_lstm_node(input_size: int, units: int, seed: int = 0, *, scale: float = 1.0, **changes: Any) -> LstmNode:
    """The LSTM of `random_lstm`, with attributes changed."""
    node = random_lstm(input_size, units, seed, scale=scale).nodes[0]
    assert isinstance(node, LstmNode)
    return replace(node, **changes)


def no_bias_16_32(batch: int = 4, steps: int = 12) -> SeedCase:
    """2048 and 4096 weights, rounded to 4 decimals, no bias. `expected` is the float64 reference's."""
    node = random_lstm(16, 32, seed=121214495, bias=False).nodes[0]
    assert isinstance(node, LstmNode)
    spec = single_lstm(_rounded(node.kernel), _rounded(node.recurrent_kernel), None)
    inputs = random_inputs(spec, batch, steps, seed=1)
    tensors = {name: array.astype(np.float64) for name, array in reference(spec, inputs).items()}
    return SeedCase(spec, inputs, tensors, exact=False)


WORKED_Z = (
    (-0.3416140819966902, -0.4468847863829904, 0.3344136492142524),
    (0.9355430885254156, 1.2537906221765602, 1.4587369824829756),
    (-0.1927853838044490, 0.3940027579285560, 0.0433854827677146),
    (-0.4402595462010102, -0.4888198926964080, -0.3646823752169724),
)
"""x kernel + bias of the worked example, the exact decimal products: z of the gates i, f, c, o for the 3 units."""

SCALAR_GATES: dict[Activation, Callable[[float], float]] = {
    Activation.SIGMOID: lambda z: 1 / (1 + math.exp(-z)),
    Activation.HARD_SIGMOID: lambda z: min(max(z + 3, 0), 6) / 6,
    Activation.HARD_SIGMOID_KERAS2: lambda z: min(max(0.2 * z + 0.5, 0), 1),
}
"""The gates of the worked example, for one number."""


def worked_example(recurrent_activation: Activation = Activation.SIGMOID) -> SeedCase:
    """One step of one input from zero states: h and c need only WORKED_Z. Exact to the decimals of the weights."""
    kernel = _numbers(
        1,
        "-0.40927699 -0.53539848 0.40065038 -0.07722378 0.30405849 0.54959822",
        "-0.23097005 0.4720422 0.05197877 -0.52746099 -0.5856396 -0.43691438",
    )
    recurrent_kernel = _numbers(
        3,
        "-0.25504839 -0.0823682 0.11609183 0.41123426 0.03409858 -0.0647027",
        "-0.59183347 -0.15359771 0.21647622 0.24863823 0.46169096 -0.21100986",
        "0.29160395 0.46513283 0.33996364 -0.31195125 -0.24458826 -0.09762905",
        "0.16202784 -0.01602131 0.34460208 0.39724654 0.31806156 0.1102117",
        "-0.15919448 -0.33053166 -0.22857222 -0.04912394 -0.21862955 0.55346996",
        "0.38505834 0.18110731 0.270677 -0.02759281 0.42814475 -0.13496138",
    )
    bias = np.repeat([0.0, 1.0, 0.0, 0.0], 3)
    spec = single_lstm(kernel, recurrent_kernel, bias, recurrent_activation=recurrent_activation)
    gate = SCALAR_GATES[recurrent_activation]
    z_i, _, z_c, z_o = WORKED_Z
    c = [gate(i) * math.tanh(candidate) for i, candidate in zip(z_i, z_c, strict=True)]
    h = [gate(o) * math.tanh(cell) for o, cell in zip(z_o, c, strict=True)]
    inputs = Inputs(x=np.array([[[0.83467698]]], dtype=np.float32))
    return SeedCase(spec, inputs, _one_step(h, c), exact=False)


def linear_by_hand() -> SeedCase:
    """All activations linear, x = [1, 0].

    i = [5, 2, 1], candidate = [0, 2, 1], o = [2, 1, 0]; so c = i candidate = [0, 4, 1] and h = o c = [0, 4, 0].
    """
    kernel = _numbers(2, "2 1 1 0 0 0 0 1 1 0 1 0", "1 1 0 1 1 0 0 1 1 0 0 0")
    recurrent_kernel = _numbers(3, "1 0 0 1 2 1 0 1 2 0 1 0", "1 1 0 0 2 1 0 1 2 2 0 0", "1 0 1 2 0 1 0 1 1 0 1 0")
    bias = _numbers(1, "3 1 0 1 1 0 0 1 0 2 0 0")[0]
    spec = single_lstm(kernel, recurrent_kernel, bias, Activation.LINEAR, Activation.LINEAR)
    inputs = Inputs(x=np.array([[[1, 0]]], dtype=np.float32))
    return SeedCase(spec, inputs, _one_step([0, 4, 0], [0, 4, 1]), exact=True)


def rows_of_an_image() -> ModelSpec:
    """LSTM(75) on 28 x 28, Dense(10), softmax: 31200 and 760 parameters."""
    lstm = random_lstm(28, 75).nodes[0]
    assert isinstance(lstm, LstmNode)
    kernel = np.random.default_rng(1).uniform(-0.26, 0.26, (75, 10)).astype(np.float32)
    bias = np.zeros(10, dtype=np.float32)
    after = Phase.AFTER_LAST_STEP
    nodes = (
        LstmNode(**{**vars(lstm), "return_sequences": False}),
        DenseNode("dense", 0, after, kernel, bias, Activation.LINEAR),
        ActivationNode("activation", 1, after, 10, Activation.SOFTMAX),
    )
    return ModelSpec("rows", "x", 28, 28, nodes, (2,))


def _rounded(weights: Float32Array) -> Float64Array:
    """Weights as a person prints them, with 4 decimals."""
    return weights.astype(np.float64).round(4)


def _numbers(rows: int, *lines: str) -> Float64Array:
    """A matrix from its numbers as text, row after row."""
    return np.array(" ".join(lines).split(), dtype=np.float64).reshape(rows, -1)


def _one_step(h: list[float], c: list[float]) -> dict[str, Float64Array]:
    """All tensors of a model of one LSTM, one sequence and one step."""
    h_last, c_last = np.array([h], dtype=np.float64), np.array([c], dtype=np.float64)
    h_steps, c_steps = h_last[:, np.newaxis], c_last[:, np.newaxis]
    return {"lstm.h": h_steps, "lstm.c": c_steps, "lstm.h_last": h_last, "lstm.c_last": c_last, "output": h_steps}
