"""What a golden file says, and the way to a file and back. docs/GOLDEN.md names the fields."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness import __version__
from harness.compare.tolerance import Tolerance, distance_to_float64, guarding
from harness.compare.verdict import json_number
from harness.errors import HilError, ModelRefused, OracleError, UsageError
from harness.golden.container import MAX_FILE_BYTES, VERSION, NewerVersion, pack, unpack
from harness.golden.spec_check import check_spec, check_work, is_text
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs
from harness.model.inputs_file import input_arrays, inputs_from_arrays
from harness.model.pack import kernel_named, pack_model
from harness.model.spec import ModelSpec
from harness.model.store import spec_from_plain, spec_to_plain
from harness.model.trace import TraceLevel, trace_named
from harness.oracle.keras_oracle import Expected
from harness.oracle.model_file import read_bounded
from harness.oracle.reference import reference
from harness.protocol.wire import Kernel

SUFFIX = ".golden"
"""By which `hil validate` knows one."""

_WEIGHTS, _INPUT, _EXPECTED = "weights.", "input.", "expected."

_SAME_DISTANCE = 1.01, 1e-9
"""How far Keras' distance from float64 may grow, relative and absolute, from the machine that made the file to this
one: float64 is the same arithmetic with other orders of sums, which differ by some 1e-15."""


@dataclass(frozen=True)
class Origin:
    """Where a golden file comes from.

    Attributes:
        model_file: name of the model's file.
        model_sha256: of that file, in hex.
        weights_file: name of a file whose weights took the place of the model's own, None: its own.
        weights_sha256: of that file.
        layer: the one LSTM of the model that is validated alone; None: the whole model is.
        made_by: the program and its version.
        made_on: the day, if the maker gave it: without it the same model gives the same file on any day.
        notes: what there is to say of the model's file.
    """

    model_file: str
    model_sha256: str
    weights_file: str | None = None
    weights_sha256: str | None = None
    layer: str | None = None
    made_by: str = f"lstm-hil {__version__}"
    made_on: date | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Golden:
    """A model, inputs, and what is expected.

    Attributes:
        spec: the model with its weights.
        inputs: what it is given.
        expected: what Keras gave, with the versions that it depends on.
        max_abs_to_float64: by tensor, Keras' largest distance from the float64 reference.
        tolerances: by tensor.
        kernel: what computes the LSTMs, unless somebody says otherwise.
        level: which tensors there are.
        origin: where all this comes from.
        sha256: of the file's head, which names all the rest; "" of one that is in no file yet.
    """

    spec: ModelSpec
    inputs: Inputs
    expected: Expected
    max_abs_to_float64: Mapping[str, float]
    tolerances: Mapping[str, Tolerance]
    kernel: Kernel
    level: TraceLevel
    origin: Origin
    sha256: str = ""


def golden_bytes(golden: Golden) -> bytes:
    """The file of a golden: the same bytes for the same golden, anywhere.

    Raises:
        UsageError: it, or its run, is larger than what is read.
    """
    spec, weights = spec_to_plain(golden.spec)
    origin, inputs = golden.origin, golden.inputs
    head = {
        "made_by": origin.made_by,
        "made_on": None if origin.made_on is None else origin.made_on.isoformat(),
        "model": {
            "file": origin.model_file,
            "sha256": origin.model_sha256,
            "weights_file": origin.weights_file,
            "weights_sha256": origin.weights_sha256,
            "layer": origin.layer,
            "notes": list(origin.notes),
            "spec": spec,
        },
        "inputs": {"sha256": inputs.sha256, "seed": inputs.seed, "notes": list(inputs.notes)},
        "oracle": {"name": golden.expected.oracle, "versions": golden.expected.versions},
        "kernel": golden.kernel.name.lower(),
        "trace": golden.level.name.lower(),
        "tensors": {name: _tensor_facts(golden, name) for name in golden.expected.tensors},
    }
    arrays: dict[str, NDArray[Any]] = {f"{_WEIGHTS}{name}": array for name, array in weights.items()}
    arrays.update({f"{_INPUT}{name}": array for name, array in input_arrays(inputs, golden.spec).items()})
    arrays.update({f"{_EXPECTED}{name}": array for name, array in golden.expected.tensors.items()})
    try:
        check_work(golden.spec, inputs)
        return pack(head, arrays)
    except ValueError as error:
        raise UsageError(
            f"There can be no golden file of this: {error}.",
            code="golden_too_large",
            remedy="Give fewer or shorter sequences (--batch, --steps), or trace less (--trace).",
        ) from error


def read_golden(path: Path) -> Golden:
    """A golden file, with every part of it checked, and its expected values held against its weights and inputs.

    Raises:
        ModelRefused: it is not there, of a later version, damaged, or no golden file.
        OracleError: what it expects is not what its weights give on its inputs.
    """
    remedy = "No golden file is as large: give one that `hil golden make` wrote."
    content = read_bounded(path, MAX_FILE_BYTES, code="golden_too_large", remedy=remedy)
    return golden_from_bytes(content, path)


def golden_from_bytes(content: bytes, path: Path) -> Golden:
    """The golden of a file's bytes. Errors: see `read_golden`.

    Args:
        content: the bytes.
        path: the file, for messages.
    """
    try:
        golden = _golden(path, *unpack(content))
        _check_values(path, golden)
    except NewerVersion as error:
        raise ModelRefused(
            f"{path} was made by a later lstm-hil: {error}.",
            code="golden_version",
            remedy=f"Update lstm-hil, or make the file with one that writes version {VERSION}.",
        ) from error
    except HilError:
        raise
    # Whatever is found wrong with a file is the file's fault.
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise ModelRefused(
            f"{path} cannot be read as a golden file: {reason}.",
            code="golden_damaged",
            remedy="Copy it again from where it was made, or make it again with `hil golden make`.",
        ) from error
    return golden


def _tensor_facts(golden: Golden, name: str) -> dict[str, Any]:
    tolerance = golden.tolerances[name]
    return {
        "atol": tolerance.atol,
        "rtol": tolerance.rtol,
        "reason": tolerance.reason,
        "max_abs_to_float64": json_number(golden.max_abs_to_float64[name]),
    }


def _golden(path: Path, head: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]], sha256: str) -> Golden:
    """The golden as the file has it. Raises whatever comes of a head that is none."""
    model, given, tensors = head["model"], head["inputs"], head["tensors"]
    spec = spec_from_plain(model["spec"], _part(arrays, _WEIGHTS))
    check_spec(spec)
    inputs = inputs_from_arrays(path, _part(arrays, _INPUT), spec)
    if inputs.sha256 != given["sha256"]:
        raise ValueError("its inputs are not what their SHA-256 says")
    seed = given["seed"]
    if seed is not None and type(seed) is not int:
        raise ValueError("its seed is no number")
    expected: dict[str, Float32Array] = _part(arrays, _EXPECTED)
    if expected.keys() != tensors.keys() or any(array.dtype != np.float32 for array in expected.values()):
        raise ValueError("its expected values are not the tensors that it names")
    versions = {_text(name): _text(version) for name, version in head["oracle"]["versions"].items()}
    return Golden(
        spec=spec,
        inputs=replace(inputs, seed=seed, notes=_texts(given["notes"])),
        expected=Expected({name: expected[name] for name in tensors}, _text(head["oracle"]["name"]), versions),
        max_abs_to_float64={name: float(facts["max_abs_to_float64"]) for name, facts in tensors.items()},
        tolerances={_text(name): _tolerance(facts) for name, facts in tensors.items()},
        kernel=kernel_named(_text(head["kernel"])),
        level=trace_named(_text(head["trace"])),
        origin=Origin(
            model_file=_text(model["file"]),
            model_sha256=_text(model["sha256"]),
            weights_file=_optional(model["weights_file"]),
            weights_sha256=_optional(model["weights_sha256"]),
            layer=_optional(model["layer"]),
            made_by=_text(head["made_by"]),
            made_on=None if head["made_on"] is None else date.fromisoformat(head["made_on"]),
            notes=_texts(model["notes"]),
        ),
        sha256=sha256,
    )


def _check_values(path: Path, golden: Golden) -> None:
    """What is expected is what float64 gives on this machine, as near as the file says."""
    spec, inputs, tensors = golden.spec, golden.inputs, golden.expected.tensors
    check_work(spec, inputs)
    _, mask = inputs.seen_by(spec)
    pack_model(spec, inputs.longest(spec), masked=mask is not None, kernel=golden.kernel)
    exact = golden.level.of(reference(spec, inputs, gates=golden.level >= TraceLevel.GATES))
    if {name: array.shape for name, array in exact.items()} != {name: array.shape for name, array in tensors.items()}:
        raise ValueError("its expected values have other names or shapes than its model gives")
    factor, least = _SAME_DISTANCE
    for name, distance in distance_to_float64(tensors, exact).items():
        said = golden.max_abs_to_float64[name]
        if not distance <= factor * said + least:
            raise OracleError(
                f"{path} expects values of '{name}' that are {distance:.3g} from what its weights give on its inputs "
                f"in float64; it says {said:.3g}.",
                code="golden_inconsistent",
                remedy="Its parts do not belong together: make it again with `hil golden make`.",
            )


def _part(arrays: Mapping[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _tolerance(facts: Mapping[str, Any]) -> Tolerance:
    atol, rtol = facts["atol"], facts["rtol"]
    if not all(type(value) in (int, float) and 0 <= value < math.inf for value in (atol, rtol)):
        raise ValueError(f"its tolerances {atol!r} and {rtol!r} are none")
    return guarding(Tolerance(float(atol), float(rtol), _text(facts["reason"])), float(facts["max_abs_to_float64"]))


def _text(value: Any) -> str:
    if not is_text(value):
        raise ValueError("a text in its head is none that can be shown")
    return str(value)


def _optional(value: Any) -> str | None:
    return None if value is None else _text(value)


def _texts(values: Any) -> tuple[str, ...]:
    if not isinstance(values, list):
        raise ValueError("its notes are no list")
    return tuple(map(_text, values))
