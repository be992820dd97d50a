"""Reads and checks a model's file before Keras opens it, and says which Keras is its oracle.

    .keras         a zip of `config.json`, `metadata.json` and `model.weights.h5`
    .h5, .hdf5     a whole model in HDF5, described by the attribute `model_config`
    .npz           the weights of LSTM layers alone, see `npz_model.py`

Keras builds whatever classes a file names, and libhdf5 may crash on what it reads. Here only known layers and readable
arrays reach them: the rest is refused by name and before TensorFlow is loaded.
"""

from __future__ import annotations

import errno
import hashlib
import io
import json
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path

from harness.errors import HilError, ModelRefused
from harness.oracle.config_check import check_config
from harness.oracle.hdf5_file import Hdf5Content, read_hdf5
from harness.oracle.npz_model import read_npz_model
from harness.oracle.refusals import LAYERS, NEVER
from harness.oracle.runtime import HARD_SIGMOID_KERAS2, KERAS_2, KERAS_3, keras_api
from harness.reading import refuse_pipe

MAX_CONFIG_BYTES = 16 << 20
"""Largest config.json that is read: a model of MAX_NODES layers has one of about 50 KB."""

MAX_FILE_BYTES = 256 << 20
"""Largest file, also unpacked, so that none can fill the memory. The device holds 512 KB."""

HDF5_SUFFIXES = (".h5", ".hdf5")

_OF_THE_MACHINE = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EMFILE, errno.ENFILE, errno.EAGAIN, errno.ENOMEM}
)
"""Errors that no file is the cause of: no room, nothing can be written there, too many files or processes at a time."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"

_SAVE_AGAIN = "Load it where it was made and save it again: model.save('model.keras')."
_WRITE_AGAIN = "Write it there again with np.savez, plain arrays without objects in it."


@dataclass(frozen=True)
class ModelFile:
    """A file that passed its checks.

    Attributes:
        path: where it is.
        content: its bytes; what is loaded is these, whatever becomes of the file.
        sha256: of the content, in hex.
        keras: the Keras that loads it and is its oracle, KERAS_3 or KERAS_2.
    """

    path: Path
    content: bytes
    sha256: str
    keras: str

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """A file of this content under a name by which Keras knows what it is."""
        with temporary(self.content, f"model{self.path.suffix}") as path:
            yield path


def check_model_file(path: Path, *, any_layer: bool = False) -> ModelFile:
    """Reads and checks a file without Keras.

    Args:
        path: the file.
        any_layer: it may have every layer that is Keras' own and runs no code from elsewhere; Keras says which.

    Raises:
        ModelRefused: there is no such file, it holds no model, or something that is not run.
        OSError: this machine lacks what it takes to check it.
    """
    if path.suffix not in (".keras", *HDF5_SUFFIXES, ".npz"):
        raise ModelRefused(
            f"{path} is no model file by its name; .keras, .h5, .hdf5 and .npz are read.",
            code="model_format",
            remedy="Give the file that Keras wrote with model.save('model.keras') or model.save('model.h5').",
        )
    content = read_file(path)
    _check_magic(path, content)
    try:
        keras = _CHECKS[path.suffix](path, content, any_layer)
    except HilError:
        raise
    # Whatever zipfile, json and libhdf5 find wrong with a file is the file's fault: zlib.error, EOFError, ...
    except Exception as error:
        if is_of_the_machine(error):
            raise
        is_npz = path.suffix == ".npz"
        raise ModelRefused(
            f"{path} {'cannot be read as .npz' if is_npz else 'is no complete model'}: {_reason(error)}.",
            code="model_damaged",
            remedy=f"Copy it again from where it was made. {_WRITE_AGAIN if is_npz else _SAVE_AGAIN}",
        ) from error
    return ModelFile(path, content, hashlib.sha256(content).hexdigest(), keras)


def read_file(path: Path) -> bytes:
    """All of a model's file. Errors: see `read_bounded`."""
    remedy = "The device holds 0.5 MB of weights: give a smaller model."
    return read_bounded(path, MAX_FILE_BYTES, code="model_too_large", remedy=remedy)


def read_bounded(path: Path, most_bytes: int, *, code: str, remedy: str) -> bytes:
    """All of a file.

    Args:
        path: the file.
        most_bytes: a larger one is refused.
        code: of that refusal.
        remedy: of that refusal.

    Raises:
        ModelRefused: it is not there, cannot be read, is no regular file, or is too large.
        OSError: this machine has too many files open.
    """
    try:
        refuse_pipe(path)
        with path.open("rb") as file:
            content = file.read(most_bytes + 1)
    except FileNotFoundError:
        raise ModelRefused(f"There is no file {path}.", code="model_not_found", remedy="Check the path.") from None
    except OSError as error:
        if is_of_the_machine(error):
            raise
        raise ModelRefused(
            f"{path} cannot be read: {error.strerror}.",
            code="model_unreadable",
            remedy="Give a file that can be read.",
        ) from error
    if len(content) > most_bytes:
        raise ModelRefused(f"{path} has more than {most_bytes} bytes.", code=code, remedy=remedy)
    return content


def is_of_the_machine(error: Exception) -> bool:
    """Whether an error while a file was read, checked or loaded says nothing of that file."""
    return isinstance(error, OSError) and error.errno in _OF_THE_MACHINE


def read_hdf5_bytes(content: bytes) -> Hdf5Content:
    """What HDF5 bytes hold. Errors: see `read_hdf5`."""
    with temporary(content, "checked.h5") as path:
        return read_hdf5(path)


def _check_magic(path: Path, content: bytes) -> None:
    """Refuses a file of the one format under the name of the other."""
    for magic, name, suffix in ((_HDF5_MAGIC, "an HDF5", ".h5"), (_ZIP_MAGIC, "a zip (.keras)", ".keras")):
        of_this_format = HDF5_SUFFIXES if suffix == ".h5" else (".keras", ".npz")
        if content.startswith(magic) and path.suffix not in of_this_format:
            raise ModelRefused(
                f"{path} is {name} file in spite of its name.",
                code="model_format",
                remedy=f"Rename it to {path.with_suffix(suffix).name}, or save it again with model.save.",
            )


def _check_zip(path: Path, content: bytes, any_layer: bool) -> str:
    """A .keras file. Gives its oracle; raises ModelRefused, or anything else for what is wrong with its bytes."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
            raise ValueError(f"config.json is larger than {MAX_CONFIG_BYTES} bytes")
        if sum(member.file_size for member in archive.infolist()) > MAX_FILE_BYTES:
            raise ValueError(f"it unpacks to more than {MAX_FILE_BYTES} bytes")
        config = json.loads(archive.read("config.json"))
        metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
        damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} is damaged")
        weights = archive.read("model.weights.h5")
    if not isinstance(metadata, dict):
        raise ValueError("metadata.json describes nothing")
    keras = _oracle_of(path, str(metadata.get("keras_version", "3")))
    held = read_hdf5_bytes(weights)
    check_config(
        config, names_modules=True, elements=_elements(held), layers=_layers(keras, any_layer), any_layer=any_layer
    )
    return keras


def _check_hdf5(path: Path, content: bytes, any_layer: bool) -> str:
    """A whole model in HDF5. Gives its oracle; errors as of `_check_zip`."""
    held = read_hdf5_bytes(content)
    if "model_config" not in held.texts:
        raise _without_model(path, held)
    # Old files do not say by whom they were written; Keras 3 always does.
    keras = _oracle_of(path, held.texts.get("keras_version", "2"))
    config = json.loads(held.texts["model_config"])
    check_config(
        config, names_modules=False, elements=_elements(held), layers=_layers(keras, any_layer), any_layer=any_layer
    )
    return keras


def _check_npz(path: Path, content: bytes, _: bool) -> str:
    """Weights alone, whose oracle is Keras 3; errors as of `_check_zip`."""
    try:
        read_npz_model(content)
    except ModelRefused as error:
        raise ModelRefused(f"{path}: {error.message}", code=error.code, remedy=error.remedy) from None
    return KERAS_3


_CHECKS = {".keras": _check_zip, **dict.fromkeys(HDF5_SUFFIXES, _check_hdf5), ".npz": _check_npz}
"""By the name's end: what reads a file and says which Keras is its oracle."""


def _without_model(path: Path, held: Hdf5Content) -> ModelRefused:
    if is_weights_file(held):
        return ModelRefused(
            f"{path} holds weights only, not the model that they belong to.",
            code="weights_only",
            remedy=f"Give the model's own file and these weights: hil validate MODEL --weights {path}.",
        )
    return ModelRefused(
        f"{path} is an HDF5 file that Keras did not write: it has no attribute model_config.",
        code="model_format",
        remedy="Give the file that Keras wrote with model.save('model.h5').",
    )


def is_weights_file(held: Hdf5Content) -> bool:
    """Whether a file has weights as Keras stores them, with or without a model."""
    return held.layers is not None or any("/vars/" in f"/{name}" for name in held.arrays)


def _oracle_of(path: Path, version: str) -> str:
    """The Keras that loads what a version of Keras wrote."""
    major = version.split(".", maxsplit=1)[0]
    if not major.isdecimal():
        raise ValueError(f"it was written by Keras '{version}', which is no version")
    if int(major) < 2:
        raise ModelRefused(
            f"{path} was written by Keras {version}; files of Keras 2 and 3 are read.",
            code="model_format",
            remedy="Build the model in Keras 3 with the same weights. Its hard_sigmoid is not Keras 1's, "
            f"which a model names as '{HARD_SIGMOID_KERAS2}'.",
        )
    return KERAS_2 if int(major) == 2 else KERAS_3


def _layers(keras: str, any_layer: bool) -> frozenset[str]:
    return keras_api(keras).layer_names() - NEVER if any_layer else LAYERS


def _elements(held: Hdf5Content) -> int:
    return sum(prod(shape) for shape, _ in held.arrays.values())


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        missing = "config.json" if "config.json" in str(error) else "model.weights.h5"
        return f"it has no {missing}" if missing in str(error) else f"it lacks {error}"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    return (str(error).splitlines() or [type(error).__name__])[0].rstrip(".") or type(error).__name__


@contextmanager
def temporary(content: bytes, name: str) -> Iterator[Path]:
    """A file of this content and name, for as long as the context lasts."""
    with tempfile.TemporaryDirectory(prefix="lstm-hil-") as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path
