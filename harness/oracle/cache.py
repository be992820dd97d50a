"""What the oracle has said before, so that a second run of the same model and inputs needs no TensorFlow.

A stale answer must be impossible. So the key of an answer is a hash over everything that it depends on: the model file,
the inputs' values, the versions of keras, tensorflow and numpy, every source file of our own oracle, the settings that
TensorFlow and Keras read, and the processor, whose features choose TensorFlow's kernels. Change one, and it is another
key. An answer that cannot be read whole, or whose own hash is wrong, is none.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.tolerance import Tolerance, distance_to_float64
from harness.errors import ModelRefused
from harness.model.inputs import Inputs
from harness.model.store import spec_from_arrays, spec_to_arrays
from harness.model.whole import InputSpec, WholeInputs
from harness.oracle.keras_oracle import Expected, check_inputs, expected, expected_of_layer
from harness.oracle.load import LoadedModel, load_model
from harness.oracle.model_file import read_file
from harness.oracle.one_layer import capture
from harness.oracle.reference import reference
from harness.oracle.weights_file import read_weights

_FORMAT = 1
"""Raised when the files' layout changes."""

_KEPT = 4000
"""Files that are kept; the oldest go first. A model has two: a second run of 2000 weight sets asks nobody."""

_KEPT_BYTES = 1 << 30
"""All of them together: of a small network on 8 sequences of 16 steps one has 0.1 MB."""

_PACKAGE = Path(__file__).resolve().parents[1]
_SOURCES = ("oracle", "model", "compare", "protocol")
_SETTINGS = ("TF_", "KERAS_", "XLA_", "OMP_", "CUDA_", "MKL_", "DNNL_", "ONEDNN_")
_OUR_SETTINGS = ("KERAS_BACKEND", "CUDA_VISIBLE_DEVICES", "TF_CPP_MIN_LOG_LEVEL")
"""Set by `import_keras`, always to the same: they must not tell a run before the import from one after it."""


_ONE_AT_A_TIME = RLock()
"""Keras has global state, and standard error leads elsewhere while it is imported: threads of a process take turns."""


@dataclass(frozen=True)
class Answer:
    """What the oracle says of a model on inputs.

    Attributes:
        expected: Keras' values.
        max_abs_to_float64: by tensor, Keras' largest distance from the float64 reference.
        from_cache: whether it was said before.
        inputs: what the spec is run on: those that were given, or of one LSTM alone those that Keras gave it.
        tolerances: by tensor, where they have been settled; None: they are derived.
    """

    expected: Expected
    max_abs_to_float64: dict[str, float]
    from_cache: bool
    inputs: Inputs
    tolerances: dict[str, Tolerance] | None = None


class Oracle:
    """Keras and the float64 reference behind a cache.

    Args:
        folder: where answers are kept; None: nowhere.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder

    def load(self, path: Path, weights: Path | None = None, layer: str | None = None) -> LoadedModel:
        """A model from its file, or one LSTM of it, without Keras where it was read before. See `load_model`."""
        with _ONE_AT_A_TIME:
            return self._load(path, weights, layer)

    def _load(self, path: Path, weights: Path | None, layer: str | None) -> LoadedModel:
        if self._folder is None:
            return load_model(path, weights, layer)
        # The name says which format it is. What is known by this key has passed the checks.
        weights_sha256 = None if weights is None else hashlib.sha256(read_weights(weights)).hexdigest()
        key = _key("model", path.suffix, hashlib.sha256(read_file(path)).hexdigest(), weights_sha256, layer)
        stored = self._read(key)
        if stored is not None:
            facts = _facts(stored)
            return LoadedModel(
                path=path,
                sha256=facts["sha256"],
                spec=spec_from_arrays(stored),
                keras_model=None,
                layers=(),
                notes=tuple(facts["notes"]),
                weights_path=weights,
                weights_sha256=weights_sha256,
                layer=layer,
                reads=tuple(InputSpec(**{**each, "shape": tuple(each["shape"])}) for each in facts["reads"]),
            )
        loaded = load_model(path, weights, layer)
        facts = {"sha256": loaded.sha256, "notes": loaded.notes, "reads": [asdict(each) for each in loaded.reads]}
        self._write(key, {**spec_to_arrays(loaded.spec), **_facts_array(facts)})
        return loaded

    def answer(self, loaded: LoadedModel, given: Inputs | WholeInputs, *, gates: bool = False) -> Answer:
        """What the model gives on these inputs, or one LSTM of it on those of the whole model.

        Args:
            loaded: the model.
            given: its inputs.
            gates: the values of the gates are wanted too.

        Raises:
            InputsRefused, OracleError: see `keras_oracle.expected` and `one_layer.capture`.
        """
        with _ONE_AT_A_TIME:
            return self._answer(loaded, given, gates=gates)

    def _answer(self, loaded: LoadedModel, given: Inputs | WholeInputs, *, gates: bool) -> Answer:
        if isinstance(given, Inputs):
            check_inputs(loaded, given)
        key = _key(
            "values", loaded.sha256, loaded.weights_sha256, loaded.layer, given.sha256, "gates" if gates else None
        )
        stored = None if self._folder is None else self._read(key)
        if stored is not None:
            facts = _facts(stored)
            tensors = {name: stored[f"tensor.{name}"] for name in facts["tensors"]}
            distances = {name: float(stored["distances"][place]) for place, name in enumerate(facts["tensors"])}
            values = Expected(tensors, facts["oracle"], facts["versions"])
            inputs = given if isinstance(given, Inputs) else _stored_inputs(stored, facts, given)
            return Answer(values, distances, True, inputs)
        if loaded.keras_model is None:
            loaded = _loaded_again(loaded)
        inputs, values = _asked(loaded, given, gates=gates)
        distances = distance_to_float64(values.tensors, reference(loaded.spec, inputs, gates=gates))
        if self._folder is not None:
            facts = {"tensors": list(values.tensors), "oracle": values.oracle, "versions": values.versions}
            arrays = {f"tensor.{name}": array for name, array in values.tensors.items()}
            in_order = np.array([distances[name] for name in values.tensors], dtype=np.float64)
            if not isinstance(given, Inputs):
                facts["notes"] = inputs.notes
                arrays.update(_inputs_arrays(inputs))
            self._write(key, {**arrays, "distances": in_order, **_facts_array(facts)})
        return Answer(values, distances, False, inputs)

    def _read(self, key: str) -> dict[str, NDArray[Any]] | None:
        assert self._folder is not None
        path = self._folder / f"{key}.npz"
        try:
            with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                arrays = {name: stored[name] for name in stored.files}
            if arrays.pop("digest").tobytes() != _digest(arrays):
                return None
            os.utime(path)  # the oldest go first: this one was of use
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile):
            return None
        return arrays

    def _write(self, key: str, arrays: dict[str, NDArray[Any]]) -> None:
        """Keep an answer, whole or not at all. A folder that cannot be written only makes the next run slower."""
        assert self._folder is not None
        digest = np.frombuffer(_digest(arrays), dtype=np.uint8)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=self._folder, suffix=".tmp", delete=False) as file:
                try:
                    np.savez(file, digest=digest, **arrays)  # type: ignore[arg-type]
                    file.flush()
                    os.replace(file.name, self._folder / f"{key}.npz")
                except BaseException:
                    os.unlink(file.name)  # on a full disk nobody else would
                    raise
            _forget_oldest(self._folder)
        except OSError:
            return


def _forget_oldest(folder: Path) -> None:
    known = sorted(((path.stat(), path) for path in folder.glob("*.npz")), key=lambda each: each[0].st_mtime)
    size_bytes = 0
    for place, (status, path) in enumerate(reversed(known)):
        size_bytes += status.st_size
        if place >= _KEPT or size_bytes > _KEPT_BYTES:
            path.unlink(missing_ok=True)


def _loaded_again(known: LoadedModel) -> LoadedModel:
    """The same model with its Keras object.

    Raises:
        ModelRefused: the file is another one by now: what is computed from it must not be kept under the old key.
    """
    loaded = load_model(known.path, known.weights_path, known.layer)
    if (loaded.sha256, loaded.weights_sha256) != (known.sha256, known.weights_sha256):
        raise ModelRefused(
            f"{known.path} or its weights changed while they were read.", code="model_changed", remedy="Run it again."
        )
    return loaded


def environment_facts() -> dict[str, Any]:
    """Everything beside model and inputs that an answer depends on."""
    return {
        "format": _FORMAT,
        "versions": {
            name: _version(name) for name in ("keras", "tensorflow", "numpy", "tf_keras", "h5py", "ml_dtypes")
        },
        "sources": _sources_digest(),
        "settings": {
            name: value
            for name, value in sorted(os.environ.items())
            if name.startswith(_SETTINGS) and name not in _OUR_SETTINGS
        },
        "keras_json": _keras_json(),
        "python": platform.python_version(),
        "processor": _processor(),
    }


def _asked(loaded: LoadedModel, given: Inputs | WholeInputs, *, gates: bool) -> tuple[Inputs, Expected]:
    """What Keras says, and the inputs of what it says."""
    if isinstance(given, Inputs):
        return given, expected(loaded, given, gates=gates)
    assert loaded.layer is not None
    captured = capture(loaded.keras_model, loaded.layer, given)
    return captured.inputs, expected_of_layer(loaded, captured, gates=gates)


def _inputs_arrays(inputs: Inputs) -> dict[str, NDArray[Any]]:
    initial = {f"initial.{name}": array for name, array in inputs.initial.items()}
    return {"input.x": inputs.x, **({} if inputs.mask is None else {"input.mask": inputs.mask}), **initial}


def _stored_inputs(stored: Mapping[str, NDArray[Any]], facts: dict[str, Any], given: WholeInputs) -> Inputs:
    """The inputs that `_inputs_arrays` stored."""
    initial = {name.removeprefix("initial."): array for name, array in stored.items() if name.startswith("initial.")}
    notes = tuple(facts["notes"])
    return Inputs(stored["input.x"], stored.get("input.mask"), initial, given.reset_before, given.seed, notes)


def _key(*parts: str | None) -> str:
    text = json.dumps([environment_facts(), *parts], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "none"


@lru_cache
def _sources_digest() -> str:
    digest = hashlib.sha256()
    for part in _SOURCES:
        for path in sorted((_PACKAGE / part).rglob("*.py")):
            digest.update(f"{path.relative_to(_PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.hexdigest()


def _keras_json() -> str:
    """Keras' own configuration file, which may set the float type and its epsilon."""
    home = Path(os.environ.get("KERAS_HOME", Path("~/.keras").expanduser()))
    try:
        return (home / "keras.json").read_text()
    except OSError:
        return ""


@lru_cache
def _processor() -> str:
    """Model and features of the processor, and how many there are: TensorFlow splits sums by threads."""
    lines: set[str] = set()
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith(("model name", "flags", "Features", "CPU part")):
                lines.add(line)
    except OSError:
        lines.add(platform.processor())
    return hashlib.sha256("\n".join([platform.machine(), str(os.cpu_count()), *sorted(lines)]).encode()).hexdigest()


def _digest(arrays: Mapping[str, NDArray[Any]]) -> bytes:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name}\0{array.dtype.str}\0{array.shape}\0".encode() + np.ascontiguousarray(array).tobytes())
    return digest.digest()


def _facts_array(facts: dict[str, Any]) -> dict[str, NDArray[Any]]:
    return {"facts": np.frombuffer(json.dumps(facts).encode(), dtype=np.uint8)}


def _facts(arrays: Mapping[str, NDArray[Any]]) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(arrays["facts"].tobytes().decode())
    return facts
