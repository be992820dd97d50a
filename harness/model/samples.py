"""Models for measurements, where any weights will do as long as they are like trained ones."""

from __future__ import annotations

import numpy as np

from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.protocol.wire import Activation, Phase


def random_lstm(input_size: int, units: int) -> ModelSpec:
    """An LSTM with weights as training starts with them: Glorot-uniform, orthogonal, and small biases."""
    generator = np.random.default_rng(0)
    limit = np.sqrt(6 / (input_size + 4 * units))
    recurrent_kernel = np.linalg.qr(generator.standard_normal((4 * units, units)))[0].T
    bias = np.repeat([0.0, 1.0, 0.0, 0.0], units) + 0.1 * generator.standard_normal(4 * units)
    node = LstmNode(
        name="lstm",
        source=None,
        phase=Phase.EVERY_STEP,
        kernel=generator.uniform(-limit, limit, (input_size, 4 * units)).astype(np.float32),
        recurrent_kernel=recurrent_kernel.astype(np.float32),
        bias=bias.astype(np.float32),
        activation=Activation.TANH,
        recurrent_activation=Activation.SIGMOID,
    )
    return ModelSpec(f"lstm_{input_size}_{units}", "x", input_size, None, (node,), (0,))
