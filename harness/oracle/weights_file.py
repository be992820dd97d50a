"""Weights from a file of their own, put into a model: what `model.save_weights` wrote, or a whole model in HDF5."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModelRefused
from harness.oracle.hdf5_file import BadHdf5, Hdf5Content
from harness.oracle.model_file import (
    HDF5_SUFFIXES,
    is_of_the_machine,
    is_weights_file,
    read_file,
    read_hdf5_bytes,
    temporary,
)
from harness.oracle.runtime import KerasApi

_SAVE_AGAIN = "Write it with model.save_weights('model.weights.h5')."


@dataclass(frozen=True)
class WeightsFile:
    """A file of weights that passed its checks.

    Attributes:
        path: where it is.
        content: its bytes.
        sha256: of the content, in hex.
        held: what is in it.
    """

    path: Path
    content: bytes
    sha256: str
    held: Hdf5Content

    def arrays(self) -> dict[str, tuple[int, ...]]:
        """The shapes of its weights by their paths, without those of an optimizer and of metrics."""
        if self.held.layers is not None:
            names = [name for _, weights in self.held.layers for name in weights]
        else:
            names = [name for name in self.held.arrays if not name.startswith(("optimizer", "metrics"))]
        shapes = {name: self.held.arrays[name] for name in names if name in self.held.arrays}
        return {name: shape for name, (shape, dtype) in shapes.items() if dtype.startswith("float")}


def read_weights(path: Path) -> bytes:
    """All of a file of weights.

    Raises:
        ModelRefused: it is not there, cannot be read, is too large, or is no HDF5 by its name.
    """
    if path.suffix not in HDF5_SUFFIXES:
        raise ModelRefused(
            f"{path} is no file of weights by its name; .weights.h5, .h5 and .hdf5 are read.",
            code="weights_format",
            remedy=f"{_SAVE_AGAIN} LSTM weights in .npz are a MODEL of their own, without --weights.",
        )
    try:
        return read_file(path)
    except ModelRefused as error:
        raise ModelRefused(error.message, code=error.code.replace("model", "weights"), remedy=error.remedy) from error


def check_weights_file(path: Path) -> WeightsFile:
    """Reads and checks a file of weights without Keras.

    Raises:
        ModelRefused: there is no such file, it is damaged, or Keras did not write it.
    """
    content = read_weights(path)
    try:
        held = read_hdf5_bytes(content)
    except BadHdf5 as error:
        raise ModelRefused(
            f"{path} is no complete file of weights: {error}.",
            code="weights_damaged",
            remedy=f"Copy it again from where it was made. {_SAVE_AGAIN}",
        ) from error
    if not is_weights_file(held):
        raise ModelRefused(
            f"{path} is an HDF5 file that Keras did not write: it names no layers.",
            code="weights_format",
            remedy=_SAVE_AGAIN,
        )
    return WeightsFile(path, content, hashlib.sha256(content).hexdigest(), held)


def put_weights(keras: KerasApi, keras_model: Any, file: WeightsFile) -> None:
    """Replaces all weights of a model.

    Raises:
        ModelRefused: the file has other weights than the model; the message names the layer.
    """
    _check_shapes(keras_model, file)
    # Which loader Keras takes depends on the name alone, and Keras before 2.12 gave either name to the older format.
    suffix = ".weights.h5" if file.held.layers is None else ".h5"
    try:
        with temporary(file.content, f"model{suffix}") as copy:
            keras_model.load_weights(copy)
    except Exception as error:
        if is_of_the_machine(error):
            raise
        reason = " ".join(line.strip() for line in str(error).splitlines() if line.strip()) or type(error).__name__
        raise ModelRefused(
            f"{keras.name} {keras.version} cannot load the weights in {file.path}: {reason[:300]}",
            code="weights_not_loadable",
            remedy="Give the weights of this very model: same layers, in the same order.",
        ) from error


def _check_shapes(keras_model: Any, file: WeightsFile) -> None:
    """Keras itself passes over arrays that no layer of the model takes, which would be those of another model."""
    arrays = file.arrays()
    unused = Counter(arrays.values())
    for layer in keras_model.layers:
        needed = Counter(tuple(weight.shape) for weight in layer.weights)
        if needed - unused:
            raise _other_model(
                f"Layer '{layer.name}' of the model has weights of {_shapes(needed)}; "
                f"{file.path} has {_shapes(unused & needed) or 'none of these'} left for it."
            )
        unused -= needed
    if unused:
        first = next(name for name, shape in arrays.items() if unused[shape])
        raise _other_model(
            f"{file.path} holds {_shapes(unused)} more than the model has, '{first}' or one like it among them."
        )
    names = [name for name, weights in file.held.layers or () if weights]
    wanted = [layer.name for layer in keras_model.layers if layer.weights]
    if sorted(names) == sorted(wanted) and names != wanted:
        raise _other_model(
            f"{file.path} has the layers in the order {', '.join(names)}, and the model {', '.join(wanted)}."
        )


def _other_model(message: str) -> ModelRefused:
    return ModelRefused(
        message, code="weights_of_another_model", remedy="Give the weights of this very model, or its own MODEL file."
    )


def _shapes(shapes: Counter[tuple[int, ...]]) -> str:
    return ", ".join(str(shape) for shape in shapes.elements())
