"""Expected values that somebody gives beside the oracle's own: Y.npz, by the names of OUT.npz. NumPy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import InputsRefused
from harness.model.array_types import Float32Array
from harness.model.arrays import listed, read_npz, real_numbers, sha256_of


@dataclass(frozen=True, eq=False)
class ExpectedFile:
    """Values that the device is judged by in place of the oracle's.

    Attributes:
        path: where they came from.
        values: float32, by the names of OUT.npz.
        sha256: over names, shapes and values, in hex.
        notes: what was done to the file's values.
    """

    path: Path
    values: Mapping[str, Float32Array]
    sha256: str
    notes: tuple[str, ...]


_ITS_INPUTS = {
    False: "Give the values of every sequence and step, and the inputs that they are of with --inputs.",
    True: "Give the values of every sequence and step of the golden file's own inputs; `hil golden show` says which.",
}


def load_expected(
    path: Path,
    known: Mapping[str, Float32Array],
    judged: Mapping[str, Float32Array],
    *,
    of_golden: bool = False,
) -> ExpectedFile:
    """Read expected values.

    Args:
        path: an .npz file.
        known: every tensor of the model on these inputs.
        judged: those of them that are fetched from the device.
        of_golden: the inputs are those of a golden file, beside which no others can be given.

    Raises:
        InputsRefused: it cannot be read, or holds what the model does not give or is not judged by, or other shapes.
    """
    notes: list[str] = []
    values = {}
    arrays = read_npz(path, of="expected", example="output=...")
    if not arrays:
        raise InputsRefused(f"{path} holds no array.", code="expected_empty", remedy=f"Store {listed(judged)}.")
    for name, array in arrays.items():
        if name in known and name not in judged:
            raise InputsRefused(
                f"{path} holds '{name}', which is not fetched from the device.",
                code="expected_not_traced",
                remedy="Give --trace hc, or --trace gates.",
            )
        if name not in judged:
            raise InputsRefused(
                f"{path} holds '{name}', which this model does not give.",
                code="expected_unknown",
                remedy=f"Known names: {listed(judged)}.",
            )
        if array.shape != judged[name].shape:
            raise InputsRefused(
                f"'{name}' in {path} has the shape {array.shape}; the model gives {judged[name].shape} here.",
                code="expected_shape",
                remedy=_ITS_INPUTS[of_golden],
            )
        values[name] = real_numbers(path, name, array, notes)
    return ExpectedFile(path, values, sha256_of(values), tuple(notes))
