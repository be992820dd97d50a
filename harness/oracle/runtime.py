"""The one door to Keras: imported late, quietly, with TensorFlow on the CPU behind it."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO, Any

import numpy as np

from harness.errors import OracleError

HARD_SIGMOID_KERAS2 = "lstm_hil>hard_sigmoid_keras2"
"""Registered name of the hard_sigmoid of Keras 1 and 2, clip(0.2 x + 0.5, 0, 1), which Keras 3 no longer has."""

_FUNCTION_PACKAGE, _FUNCTION_NAME = HARD_SIGMOID_KERAS2.split(">")


def import_keras() -> Any:
    """Keras, on TensorFlow, on the CPU. The first call takes seconds.

    TensorFlow's settings are read at import, so they are made here: no GPU (cuDNN rounds otherwise than the CPU does)
    and no log. TF_ENABLE_ONEDNN_OPTS stays as the user has it; `versions` records it.

    Raises:
        OracleError: Keras or TensorFlow cannot be imported, or Keras already runs on another backend.
    """
    if "keras" not in sys.modules:
        os.environ["KERAS_BACKEND"] = "tensorflow"
        os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _standard_error_kept() as kept, quiet():
        try:
            import keras
        except ImportError as error:
            raise OracleError(
                f"Keras cannot be imported: {error}. {_last_line(kept)}".rstrip(),
                code="keras_missing",
                remedy="Install this package with its dependencies (keras 3 and tensorflow).",
            ) from error
    # An interrupted run would end in a page of its complaints about objects that were never used.
    logging.getLogger("tensorflow").setLevel(logging.CRITICAL)
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


def versions() -> dict[str, str]:
    """What the expected values depend on: versions, and the oneDNN setting, which changes the order of sums."""
    keras = import_keras()
    import tensorflow

    return {
        "keras": str(keras.__version__),
        "tensorflow": str(tensorflow.__version__),
        "numpy": np.__version__,
        "TF_ENABLE_ONEDNN_OPTS": os.environ.get("TF_ENABLE_ONEDNN_OPTS", "unset"),
    }


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
