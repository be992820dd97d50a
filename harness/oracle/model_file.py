"""Checks a .keras file before Keras opens it: a zip with `config.json`, `metadata.json` and `model.weights.h5`.

Keras builds whatever classes a file names. Here only known layers reach it: the rest is refused by name, within
milliseconds and before TensorFlow is loaded.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.errors import ModelRefused
from harness.oracle.refusals import CONTAINERS, LAYERS, refused_custom_code, refused_layer
from harness.oracle.runtime import HARD_SIGMOID_KERAS2

MAX_CONFIG_BYTES = 16 << 20
"""Largest config.json that is read: a model of MAX_NODES layers has one of about 50 KB."""

MAX_UNPACKED_BYTES = 1 << 30
"""Most bytes that a file may unpack to, so that a small file cannot fill the memory. The device holds 512 KB."""

_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"

_SAVE_AGAIN = "Load it where it was made and save it again: model.save('model.keras')."


def check_model_file(path: Path) -> str:
    """Reads and checks a .keras file without Keras.

    Returns:
        SHA-256 of the file, in hex.

    Raises:
        ModelRefused: there is no such file, it is none of Keras 3's, or it holds something that is not run.
    """
    content = _read(path)
    config, metadata = _unpack(path, content)
    written_by = str(metadata.get("keras_version", "3"))
    if written_by.startswith(("1.", "2.")):
        raise ModelRefused(
            f"{path} was written by Keras {written_by}; this version reads the files of Keras 3.",
            code="model_format",
            remedy="Build the model in Keras 3 with the same weights. Its hard_sigmoid is not Keras 2's, "
            f"which a model names as '{HARD_SIGMOID_KERAS2}'.",
        )
    _check_container(config)
    return hashlib.sha256(content).hexdigest()


def _read(path: Path) -> bytes:
    if path.suffix in (".h5", ".hdf5"):
        raise ModelRefused(
            f"{path} is an HDF5 file; this version reads .keras.",
            code="model_format",
            remedy=_SAVE_AGAIN,
        )
    if path.suffix != ".keras":
        raise ModelRefused(
            f"{path} is not a .keras file; this version reads .keras.",
            code="model_format",
            remedy="Give the file that Keras 3 wrote with model.save('model.keras').",
        )
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise ModelRefused(
            f"There is no file {path}.", code="model_not_found", remedy="Check the path to the model."
        ) from None
    except OSError as error:
        raise ModelRefused(
            f"{path} cannot be read: {error.strerror}.",
            code="model_unreadable",
            remedy="Give a file that can be read.",
        ) from error


def _unpack(path: Path, content: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """The files config.json and metadata.json, the latter empty where there is none."""
    if content.startswith(_HDF5_MAGIC):
        raise ModelRefused(
            f"{path} is an HDF5 file in spite of its name; this version reads Keras 3's .keras.",
            code="model_format",
            remedy=_SAVE_AGAIN,
        )
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if archive.getinfo("config.json").file_size > MAX_CONFIG_BYTES:
                raise ValueError(f"config.json is larger than {MAX_CONFIG_BYTES} bytes")
            if sum(member.file_size for member in archive.infolist()) > MAX_UNPACKED_BYTES:
                raise ValueError(f"it unpacks to more than {MAX_UNPACKED_BYTES} bytes")
            config = json.loads(archive.read("config.json"))
            metadata = json.loads(archive.read("metadata.json")) if "metadata.json" in archive.namelist() else {}
            damaged = archive.testzip()
        if damaged:
            raise ValueError(f"{damaged} is damaged")
        if not isinstance(config, dict) or not isinstance(config.get("config"), dict) or not isinstance(metadata, dict):
            raise ValueError("config.json describes no model")
    # Whatever zipfile and json find wrong with a file is the file's fault: zlib.error, NotImplementedError, ...
    except Exception as error:
        raise ModelRefused(
            f"{path} is no complete Keras model: {_reason(error)}.",
            code="model_damaged",
            remedy=f"Copy it again from where it was made. {_SAVE_AGAIN}",
        ) from error
    return config, metadata


def _reason(error: Exception) -> str:
    if isinstance(error, KeyError):
        return "it has no config.json"
    return str(error).rstrip(".") or type(error).__name__


def _check_container(container: dict[str, Any]) -> None:
    """Goes through a Sequential or Functional model's own description, and the models inside it."""
    class_name = str(container.get("class_name"))
    name = str(container["config"].get("name", class_name))
    if _is_custom(container) or class_name not in CONTAINERS:
        raise refused_custom_code(name, f"the class {container.get('registered_name') or class_name}")
    layers = container["config"].get("layers")
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
            _check_layer(layer)


def _check_layer(layer: dict[str, Any]) -> None:
    class_name = str(layer.get("class_name"))
    name = str(layer["config"].get("name", class_name))
    if class_name in CONTAINERS:
        _check_container(layer)
        return
    if _is_custom(layer):
        raise refused_custom_code(name, f"the class {layer.get('registered_name') or class_name}")
    if class_name not in LAYERS:
        raise refused_layer(name, class_name)
    for part in _descriptions(layer["config"]):
        if part.get("class_name") == "function":
            if part.get("config") != HARD_SIGMOID_KERAS2:
                raise refused_custom_code(name, f"the function {part.get('config')}")
        elif _is_custom(part) or part.get("class_name") == "__lambda__":
            raise refused_custom_code(name, f"the class {part.get('registered_name') or part.get('class_name')}")


def _is_custom(description: dict[str, Any]) -> bool:
    """Whether a serialized object names a class that is not Keras' own."""
    return "class_name" in description and str(description.get("module")).split(".")[0] != "keras"


def _descriptions(value: Any) -> Iterator[dict[str, Any]]:
    """Every serialized object inside a layer's configuration."""
    if isinstance(value, dict):
        if "class_name" in value:
            yield value
        for part in value.values():
            yield from _descriptions(part)
    elif isinstance(value, list):
        for part in value:
            yield from _descriptions(part)
