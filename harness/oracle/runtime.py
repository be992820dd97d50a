"""The one door to Keras: imported late, quietly, with TensorFlow on the CPU behind it.

There are two: `keras`, which is Keras 3, and `tf_keras`, which is Keras 2 and the oracle of files that Keras 2 wrote.
`KerasApi` is what the rest of this package needs of either.
"""

from __future__ import annotations

import importlib
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import numpy as np

from harness.endings import signals_wait
from harness.errors import OracleError
from harness.protocol.wire import Activation

KERAS_3 = "keras"
"""The package that is Keras 3."""

KERAS_2 = "tf_keras"
"""The package that is Keras 2, as it lives on beside Keras 3."""

HARD_SIGMOIDS = {KERAS_3: Activation.HARD_SIGMOID, KERAS_2: Activation.HARD_SIGMOID_KERAS2}
"""What each means by "hard_sigmoid": relu6(x + 3) / 6 and clip(0.2 x + 0.5, 0, 1)."""

HARD_SIGMOID_TEXTS = {KERAS_3: "relu6(x + 3) / 6", KERAS_2: "clip(0.2 x + 0.5, 0, 1)"}
"""The same for people."""

HARD_SIGMOID_KERAS2 = "lstm_hil>hard_sigmoid_keras2"
"""Registered name of the hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1), which Keras 3 no longer has."""

_FUNCTION_PACKAGE, _FUNCTION_NAME = HARD_SIGMOID_KERAS2.split(">")

_INSTALL = {
    KERAS_3: "Install this package with its dependencies (keras 3 and tensorflow).",
    KERAS_2: "Install it in the version of your TensorFlow (pip install tf_keras), or load the model where it was made "
    "and build it in Keras 3 with the same weights.",
}


@dataclass(frozen=True)
class KerasApi:
    """One of the two Keras, imported, on TensorFlow.

    Attributes:
        name: KERAS_3 or KERAS_2.
        module: the package.
    """

    name: str
    module: Any

    @property
    def version(self) -> str:
        """The package's version."""
        return str(self.module.__version__)

    @property
    def layers(self) -> Any:
        """The module of the layers' classes."""
        return self.module.layers

    @property
    def activations(self) -> Any:
        """The module of the activation functions."""
        return self.module.activations

    @property
    def hard_sigmoid(self) -> Activation:
        """What a model means that names "hard_sigmoid"."""
        return HARD_SIGMOIDS[self.name]

    def layer_names(self) -> frozenset[str]:
        """Names of the layers' classes that it makes public."""
        kinds = vars(self.layers).items()
        return frozenset(name for name, kind in kinds if isinstance(kind, type) and issubclass(kind, self.layers.Layer))

    def versions(self) -> dict[str, str]:
        """What the expected values depend on: versions, and the oneDNN setting, which changes the order of sums."""
        import tensorflow

        return {
            self.name: self.version,
            "tensorflow": str(tensorflow.__version__),
            "numpy": np.__version__,
            "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "unset"),
        }

    def on_cpu(self) -> AbstractContextManager[Any]:
        """Everything inside runs on the CPU."""
        import tensorflow

        device: AbstractContextManager[Any] = tensorflow.device("cpu:0")
        return device

    def tensor(self, array: Any) -> Any:
        """An array as a tensor that layers take."""
        import tensorflow

        return tensorflow.convert_to_tensor(array)

    def steps(self, sequence: Any) -> Any:
        """The time steps of a tensor (B, T, features): T tensors (B, features)."""
        import tensorflow

        return tensorflow.unstack(sequence, axis=1)

    def flatten(self, structure: Any) -> list[Any]:
        """The tensors in what a model takes or returns, in Keras' own order."""
        leaves: list[Any] = self._tree().flatten(structure)
        return leaves

    def map_structure(self, function: Callable[[Any], Any], structure: Any) -> Any:
        """The same structure with a function's values in place of its tensors."""
        return self._tree().map_structure(function, structure)

    def _tree(self) -> Any:
        if self.name == KERAS_3:
            return self.module.tree
        import tensorflow

        return tensorflow.nest


def keras_api(name: str = KERAS_3) -> KerasApi:
    """One of the two Keras. The first call takes seconds. Errors: see `import_keras`."""
    return KerasApi(name, import_keras(name))


def api_of(keras_object: Any) -> KerasApi:
    """The Keras that a model or layer belongs to, by the class that it is or is derived from."""
    packages = [kind.__module__.split(".")[0] for kind in type(keras_object).__mro__]
    return keras_api(KERAS_2 if KERAS_2 in packages else KERAS_3)


def import_keras(name: str = KERAS_3) -> Any:
    """Keras, on TensorFlow, on the CPU. The first call takes seconds.

    TensorFlow's settings are read at import, so they are made here: no GPU (cuDNN rounds otherwise than the CPU does)
    and no log. TF_ENABLE_ONEDNN_OPTS stays as the user has it; `KerasApi.versions` records it.

    Args:
        name: KERAS_3 or KERAS_2.

    Raises:
        OracleError: Keras or TensorFlow cannot be imported, or Keras already runs on another backend.
    """
    if not {KERAS_3, KERAS_2} & set(sys.modules):
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # An extension module that is interrupted while it is imported says ImportError, and the user's Ctrl-C would pass
    # for a broken installation.
    with signals_wait(), _standard_error_kept() as kept, quiet():
        try:
            keras = importlib.import_module(name)
        except ImportError as error:
            raise OracleError(
                f"{name} cannot be imported: {error}. {_last_line(kept)}".rstrip(),
                code="keras_missing",
                remedy=_INSTALL[name],
            ) from error
    # An interrupted run would end in a page of its complaints about objects that were never used.
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
    if name == KERAS_2:
        return keras
    if keras.backend.backend() != "tensorflow":
        raise OracleError(
            f"Keras runs on {keras.backend.backend()} in this process; the oracle is Keras on tensorflow.",
            code="keras_backend",
            remedy="Set KERAS_BACKEND=tensorflow before anything imports Keras.",
        )
    hard_sigmoid_keras2()
    return keras


def hard_sigmoid_keras2() -> Callable[[Any], Any]:
    """The Keras 2 hard_sigmoid as a function that Keras 3 can save and load; models name it as an activation.

    Source: keras 2.15, keras/backend.py, `hard_sigmoid`.
    """
    import keras

    registered: Callable[[Any], Any] | None = keras.saving.get_registered_object(HARD_SIGMOID_KERAS2)
    if registered is not None:
        return registered

    def function(x: Any) -> Any:
        return keras.ops.clip(0.2 * x + 0.5, 0.0, 1.0)

    function.__name__ = _FUNCTION_NAME
    register: Callable[[Any], Callable[[Any], Any]] = keras.saving.register_keras_serializable(
        package=_FUNCTION_PACKAGE, name=_FUNCTION_NAME
    )
    return register(function)


@contextmanager
def quiet() -> Iterator[None]:
    """No Python warning from inside Keras, which warns about its own use of NumPy and about optimizer state."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


@contextmanager
def _standard_error_kept() -> Iterator[IO[bytes] | None]:
    """File descriptor 2 leads into a temporary file: TensorFlow's C++ writes to it before it reads any setting."""
    sys.stderr.flush()
    try:
        terminal = os.dup(2)
    except OSError:
        yield None
        return
    with tempfile.TemporaryFile() as kept:
        os.dup2(kept.fileno(), 2)
        try:
            yield kept
        finally:
            os.dup2(terminal, 2)
            os.close(terminal)


def _last_line(kept: IO[bytes] | None) -> str:
    if kept is None:
        return ""
    kept.seek(0)
    lines = kept.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else ""
