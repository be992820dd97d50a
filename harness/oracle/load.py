"""A model's file -> what the harness knows of the model, and the Keras object itself for the oracle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from harness.errors import ModelRefused
from harness.model.nodes import GATES, LstmNode
from harness.model.spec import ModelSpec
from harness.model.whole import InputSpec
from harness.oracle.lowering import lower, model_spec
from harness.oracle.model_file import ModelFile, check_model_file, is_of_the_machine
from harness.oracle.npz_model import build_npz_model, read_npz_model
from harness.oracle.one_layer import chosen_layer, input_specs, layer_spec, lstms_called_once
from harness.oracle.refusals import offering
from harness.oracle.runtime import KerasApi, keras_api, quiet
from harness.oracle.weights_file import WeightsFile, check_weights_file, put_weights

__all__ = ["LoadedModel", "from_keras", "gate_parameters", "load_model", "model_spec"]


@dataclass(frozen=True)
class LoadedModel:
    """A model as it was read from a file.

    Attributes:
        path: the file.
        sha256: of the file, in hex.
        spec: the model as the device runs it.
        keras_model: the Keras object; only this package looks inside. None where the rest is known from the cache.
        layers: the Keras layer of each node of `spec`, in the same order; empty without the Keras object.
        notes: what there is to say of the file's values, for the report.
        weights_path: the file that the weights are from, None: the model's own.
        weights_sha256: of that file, in hex.
        layer: the LSTM that `spec` is of, where it is validated alone; None: `spec` is the whole model.
        reads: then, what the whole model reads.
    """

    path: Path
    sha256: str
    spec: ModelSpec
    keras_model: Any
    layers: tuple[Any, ...]
    notes: tuple[str, ...] = ()
    weights_path: Path | None = None
    weights_sha256: str | None = None
    layer: str | None = None
    reads: tuple[InputSpec, ...] = ()


def load_model(path: str | os.PathLike[str], weights: Path | None = None, layer: str | None = None) -> LoadedModel:
    """Reads a .keras, .h5, .hdf5 or .npz file. No code in the file is run, and nothing is compiled.

    Args:
        path: the file.
        weights: a .weights.h5 or .h5 file whose weights take the place of the model's own.
        layer: name of the one LSTM that is to be run; the rest may then be whatever Keras itself has.

    Raises:
        ModelRefused: no such file, none that Keras wrote, damaged, or it holds what this version does not run.
        OracleError: the Keras that the file needs is not there.
    """
    path = Path(path)
    file = check_model_file(path, any_layer=layer is not None)
    weights_file = None if weights is None else _weights_for(file, weights)
    keras = keras_api(file.keras)
    try:
        with quiet():
            keras_model, notes = _keras_model(keras, file)
    # The container and the class names are known to be good; what Keras still dislikes is in the file.
    except Exception as error:
        if is_of_the_machine(error):
            raise
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
        raise ModelRefused(
            f"{keras.name} {keras.version} cannot load {path}: {reason}",
            code="model_not_loadable",
            remedy="Change its config; a stateful layer needs a batch_shape that fixes the sequences."
            if path.suffix == ".npz"
            else f"Load it in Python with {keras.name}.saving.load_model to see all of Keras' message.",
        ) from error
    if weights_file is None:
        return from_keras(keras_model, path, file.sha256, notes, layer)
    with quiet():
        put_weights(keras, keras_model, weights_file)
    loaded = from_keras(keras_model, path, file.sha256, notes, layer)
    return replace(loaded, weights_path=weights_file.path, weights_sha256=weights_file.sha256)


def _weights_for(file: ModelFile, weights: Path) -> WeightsFile:
    if file.path.suffix == ".npz":
        raise ModelRefused(
            f"{file.path} is weights itself; {weights} cannot be put into it.",
            code="weights_format",
            remedy="Give one of them alone, or weights of Keras (.weights.h5) with their model (.keras, .h5).",
        )
    return check_weights_file(weights)


def _keras_model(keras: KerasApi, file: ModelFile) -> tuple[Any, list[str]]:
    """The Keras object of a file, and what was done to the file's values."""
    if file.path.suffix == ".npz":
        layers, notes = read_npz_model(file.content)
        return build_npz_model(keras, layers), notes
    with file.copy() as copy:
        return keras.module.saving.load_model(copy, compile=False, safe_mode=True), []


def from_keras(
    keras_model: Any, path: Path = Path(), sha256: str = "", notes: Sequence[str] = (), layer: str | None = None
) -> LoadedModel:
    """A Keras model that is in memory already.

    Args:
        keras_model: a built model; Sequential or Functional, unless `layer` is given.
        path: where it came from, if from a file.
        sha256: of that file.
        notes: what was done to its values.
        layer: name of the one LSTM that is to be run.

    Raises:
        ModelRefused: it holds what this version does not run.
    """
    if layer is not None:
        spec, reads = layer_spec(keras_model, layer), input_specs(keras_model)
        notes = (*notes, *_not_finite(spec))
        layers = (chosen_layer(keras_model, layer),)
        return LoadedModel(path, sha256, spec, keras_model, layers, notes, layer=layer, reads=reads)
    try:
        lowered = lower(keras_model)
    except ModelRefused as refused:
        raise offering(refused, lstms_called_once(keras_model)) from None
    return LoadedModel(
        path=path,
        sha256=sha256,
        spec=lowered.spec,
        keras_model=keras_model,
        layers=lowered.layers,
        notes=(*notes, *_not_finite(lowered.spec)),
    )


def _not_finite(spec: ModelSpec) -> list[str]:
    """Which layers have weights that are no numbers. They are run: the device must do with them what Keras does."""
    notes = []
    for node in spec.nodes:
        arrays = [value for value in vars(node).values() if isinstance(value, np.ndarray)]
        count = sum(int(np.count_nonzero(~np.isfinite(array))) for array in arrays)
        if count:
            notes.append(f"{count} weights of '{node.name}' are NaN or infinite")
    return notes


def gate_parameters(node: LstmNode) -> dict[str, int]:
    """Weights and biases of each gate, and of all: i, f, c and o have (input_size + units) units + units each."""
    per_gate = node.parameters // len(GATES)
    return {**dict.fromkeys(GATES, per_gate), "total": node.parameters}
