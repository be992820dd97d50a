"""What the packed kernels read and need: mirrors firmware/lib/engine/packed.h and packed.c."""

from __future__ import annotations

import numpy as np

from harness.model.array_types import Float32Array
from harness.model.nodes import LstmNode
from harness.protocol.wire import Activation

BLOCK_UNITS = 3
"""Units whose 12 sums are made at a time: as many as the FPU's 32 registers hold beside 12 weights and 8 inputs."""

_PIECE = 16
"""Floats in which h and x are copied."""

_GATES = 4
_GATE_C = 2


def has_table(node: LstmNode) -> bool:
    """Whether the kernels compute the activations themselves, from one table of tanh."""
    return (node.activation, node.recurrent_activation) == (Activation.TANH, Activation.SIGMOID)


def stream(node: LstmNode) -> Float32Array:
    """The weights in the order in which the kernels read them.

    Units in blocks of BLOCK_UNITS, the last one with what is left. In a block, for each row of [h, x] and at last for
    the biases (zeros without), the values of its units; of a unit the gates i, f, c, o. With `has_table` i, f and o are
    halved: sigmoid(z) = 1/2 + 1/2 tanh(z / 2).
    """
    bias = np.zeros(_GATES * node.units, np.float32) if node.bias is None else node.bias
    rows = np.concatenate([node.recurrent_kernel, node.kernel, bias[np.newaxis]]).astype(np.float32)
    by_unit = rows.reshape(len(rows), _GATES, node.units).transpose(0, 2, 1).copy()
    if has_table(node):
        by_unit *= np.where(np.arange(_GATES) == _GATE_C, 1, 0.5).astype(np.float32)
    blocks = [by_unit[:, start : start + BLOCK_UNITS].ravel() for start in range(0, node.units, BLOCK_UNITS)]
    return np.concatenate(blocks)


def state_floats(node: LstmNode) -> int:
    """Output and c for whole blocks, then [h, x] and slack."""
    return 2 * _whole_blocks(node.units) + node.units + node.input_size + _PIECE - 1


def scratch_floats(node: LstmNode, *, keep_gates: bool = False) -> int:
    """Pre-activations of a block, or of all units where others compute the activations or want them."""
    by_block = has_table(node) and not keep_gates
    return max(_PIECE, _GATES * (BLOCK_UNITS if by_block else _whole_blocks(node.units)))


def _whole_blocks(units: int) -> int:
    return -(-units // BLOCK_UNITS) * BLOCK_UNITS
