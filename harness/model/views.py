"""Arrays as a node reads them, and several made into one: what the oracle's two opinions have in common."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.model.nodes import Source
from harness.protocol.wire import Operation, Phase

_Array: TypeAlias = NDArray[Any]


def viewed(value: _Array, source: Source, phase: Phase) -> _Array:
    """What a node reads.

    Args:
        value: of the source's node, by its tap: (B, T, size) or (B, size).
        source: how it is read; `reverse` is left to the reader, which may have a mask to turn with it.
        phase: of the node that reads.
    """
    at_steps = phase is Phase.EVERY_STEP
    if source.rows:
        value = value.reshape(len(value), -1, source.rows)
        value = value if at_steps else value[:, 0]
    elif value.ndim == 3 and (source.repeat or not at_steps):
        value = value[:, -1]
    return np.repeat(value[:, np.newaxis], source.repeat, axis=1) if source.repeat else value


def directed(sequence: _Array, source: Source) -> _Array:
    """A sequence, or its mask, in the order in which it is read."""
    return sequence[:, ::-1] if source.reverse else sequence


OPERATIONS: dict[Operation, Callable[[list[_Array]], _Array]] = {
    Operation.CONCATENATE: lambda read: np.concatenate(read, axis=-1),
    Operation.ADD: lambda read: reduce(np.add, read),
    Operation.SUBTRACT: lambda read: read[0] - read[1],
    Operation.MULTIPLY: lambda read: reduce(np.multiply, read),
    Operation.AVERAGE: lambda read: reduce(np.add, read) / read[0].dtype.type(len(read)),
    Operation.MAXIMUM: lambda read: reduce(np.maximum, read),
    Operation.MINIMUM: lambda read: reduce(np.minimum, read),
}
"""Every operation of a MERGE; NaN spreads through each of them."""
