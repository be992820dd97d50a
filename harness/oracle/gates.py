"""The gates of a Keras LSTMCell before and after their activations: Keras' own values, taken while it computes them.

The cell gives them to its activation functions and gets them back. In which order, the source says
(keras/src/layers/rnn/lstm.py: recurrent_activation of i, f and o, activation of the candidate and then of c); that it
is so, the cell's own h and c show, which must follow from them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from harness.errors import OracleError
from harness.model.array_types import Float32Array

_GATES_BY_RECURRENT_ACTIVATION, _GATES_BY_ACTIVATION = 3, 2

_Pairs = list[tuple[Any, Any]]


class GateTap:
    """Listens to a cell. Made by `tapped`."""

    def __init__(self) -> None:
        self._of_gates: _Pairs = []
        self._of_cell: _Pairs = []

    def take(self, c: Any, new_h: Float32Array, new_c: Float32Array) -> tuple[Float32Array, Float32Array]:
        """The gates of the step that was made last.

        Args:
            c: the cell state before it, a tensor.
            new_h: what the cell gave, (B, units).
            new_c: likewise.

        Returns:
            The values before and after activation, each (B, 4 units), gates in the order i, f, c, o.

        Raises:
            OracleError: h and c do not follow from them, bit for bit.
        """
        counts = (len(self._of_gates), len(self._of_cell))
        if counts != (_GATES_BY_RECURRENT_ACTIVATION, _GATES_BY_ACTIVATION):
            raise _unknown(f"it called its activations {counts[0]} and {counts[1]} times")
        (z_i, i), (z_f, f), (z_o, o) = self._of_gates
        (z_c, candidate), (_, activated_c) = self._of_cell
        self._of_gates.clear()
        self._of_cell.clear()
        for name, value, own in (("c", f * c + i * candidate, new_c), ("h", o * activated_c, new_h)):
            if not np.array_equal(np.asarray(value), own, equal_nan=True):
                raise _unknown(f"its {name} does not follow from them")
        return _joined(z_i, z_f, z_c, z_o), _joined(i, f, candidate, o)

    def listen(self, function: Any, pairs_of_gates: bool) -> Any:
        """The function, heard."""
        pairs = self._of_gates if pairs_of_gates else self._of_cell

        def heard(z: Any) -> Any:
            value = function(z)
            pairs.append((z, value))
            return value

        return heard


@contextmanager
def tapped(cell: Any) -> Iterator[GateTap]:
    """A tap in a cell, while it is wanted."""
    tap = GateTap()
    own = (cell.recurrent_activation, cell.activation)
    cell.recurrent_activation, cell.activation = tap.listen(own[0], True), tap.listen(own[1], False)
    try:
        yield tap
    finally:
        cell.recurrent_activation, cell.activation = own


def _joined(*gates: Any) -> Float32Array:
    return np.concatenate([np.asarray(gate, dtype=np.float32) for gate in gates], axis=-1)


def _unknown(why: str) -> OracleError:
    return OracleError(
        f"Keras' LSTMCell does not compute its gates as this version of hil knows it: {why}.",
        code="keras_inconsistent",
        remedy="Leave out --trace gates, and report this with the version of Keras.",
    )
