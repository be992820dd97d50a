"""What a run was about, as arrays: vectors.npz holds all of it, worst.npz the inputs of the worst sequence."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from harness.model.inputs_file import input_arrays
from harness.model.whole import whole_input_arrays
from harness.validation import Validation


def vectors(run: Validation) -> dict[str, NDArray[Any]]:
    """Inputs, what the device is judged by and what it gave, as far as the run came.

    Returns:
        `input.<name>` by the names of an inputs file, `expected.<tensor>` and `got.<tensor>` by those of OUT.npz; where
        somebody's values are judged by in place of Keras', `keras.<tensor>` too.
    """
    arrays = {f"input.{name}": array for name, array in _inputs(run, slice(None)).items()}
    if run.expected is not None:
        arrays.update({f"expected.{name}": array for name, array in run.judged_by.items()})
        given = () if run.expected_file is None else run.expected_file.values
        arrays.update({f"keras.{name}": run.expected.tensors[name] for name in given})
    arrays.update({f"got.{name}": array for name, array in run.got.items()})
    return arrays


def worst_inputs(run: Validation) -> dict[str, NDArray[Any]]:
    """The inputs of the sequence in which the largest part of a tolerance is used, for `hil validate --inputs`.

    Of a model that fixes its batch they are those of the whole batch, as nothing else can be run.
    """
    found = [(result.share, result.worst.sequence) for result in run.results if result.worst is not None]
    if not found or run.loaded is None:
        return {}
    _, sequence = max(found)
    is_fixed = run.loaded.spec.batch is not None
    return _inputs(run, slice(None) if is_fixed else slice(sequence, sequence + 1))


def _inputs(run: Validation, which: slice) -> dict[str, NDArray[Any]]:
    """Of the sequences `which`; of an LSTM alone what the whole model was given."""
    if run.given is not None:
        return whole_input_arrays(run.given.rows(which))
    if run.inputs is None or run.loaded is None:
        return {}
    return input_arrays(run.inputs.rows(which), run.loaded.spec)
