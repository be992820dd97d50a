"""What a model is to be given."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from harness.model.inputs import Inputs, random_inputs
from harness.model.inputs_file import inputs_from_arrays, load_inputs
from harness.model.whole import WholeInputs, load_whole_inputs, random_whole_inputs, whole_inputs_from_arrays
from harness.oracle.load import LoadedModel


def inputs_of_arrays(loaded: LoadedModel, arrays: Mapping[str, Any]) -> Inputs | WholeInputs:
    """What a model is to be given, from arrays by the names that a file has them by. Errors: see `load_inputs`."""
    plain = {name: np.asarray(array) for name, array in arrays.items()}
    named = Path("inputs")  # for messages
    if loaded.layer is not None:
        return whole_inputs_from_arrays(named, plain, loaded.reads)
    return inputs_from_arrays(named, plain, loaded.spec)


def make_inputs(
    loaded: LoadedModel,
    path: Path | None = None,
    batch: int | None = None,
    steps: int | None = None,
    seed: int | None = None,
) -> Inputs | WholeInputs:
    """What a model is to be given: from a file, or without one at random. Errors: see `load_inputs`, `random_inputs`.

    Args:
        loaded: the model; of an LSTM alone the inputs are those of the whole model.
        path: an .npz file; None: random.
        batch: random sequences; None: as many as the model fixes, else 8.
        steps: random time steps, where the model leaves them open; None: 16.
        seed: of random inputs; None: 0.
    """
    if loaded.layer is not None:
        if path is not None:
            return load_whole_inputs(path, loaded.reads)
        return random_whole_inputs(loaded.reads, batch, steps, seed or 0)
    return random_inputs(loaded.spec, batch, steps, seed or 0) if path is None else load_inputs(path, loaded.spec)
