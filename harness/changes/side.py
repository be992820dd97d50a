"""One side of a comparison: what a run left, as its record and its arrays."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import UsageError
from harness.model.npz import read_arrays
from harness.model.spec import ModelSpec
from harness.reading import refuse_pipe

_SCHEMA = "lstm-hil/validation/1"
_RECORD, _VECTORS, _GOT = "report.json", "vectors.npz", "got."

_MAX_BYTES = 256 << 20
"""Most bytes of a file, as of inputs."""


@dataclass(frozen=True, eq=False)
class Side:
    """A run.

    Attributes:
        name: by which it is told from the others.
        record: docs/REPORT.md; empty where there are only arrays.
        tensors: what the device computed, by the names of OUT.npz; empty where that is not known.
        spec: the network with its weights, None where these are not known.
    """

    name: str
    record: Mapping[str, Any]
    tensors: Mapping[str, NDArray[np.float32]]
    spec: ModelSpec | None = None

    def fact(self, *path: str) -> Any:
        """A field of the record; None where it, or what leads to it, is not there."""
        value: Any = self.record
        for key in path:
            value = value.get(key) if isinstance(value, Mapping) else None
        return value

    def number(self, *path: str) -> float | None:
        """A field that is a finite number; else None."""
        value = self.fact(*path)
        is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
        return value if is_number else None

    @property
    def cost(self) -> tuple[float, str] | None:
        """Of a time step, and its unit: cycles or instructions; None where nothing was counted."""
        ticks, unit = self.number("timing", "ticks_per_step"), self.fact("timing", "tick_unit")
        return None if ticks is None or not isinstance(unit, str) else (ticks, unit)

    @property
    def memory_bytes(self) -> int | None:
        """Weights, state and buffers on the device."""
        parts = [self.number("weights", name) for name in ("image_bytes", "work_bytes")]
        return None if None in parts else int(sum(part for part in parts if part is not None))

    @property
    def accuracy(self) -> float | None:
        """Share of samples whose class is the true one, of all outputs; None where no labels were given."""
        rows = [row for row in self._rows() if row.get("name") == "device_vs_truth"]
        samples = sum(_count(row, "samples") for row in rows)
        return sum(_count(row, "right") for row in rows) / samples if samples else None

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Names of outputs that are classes."""
        listed = self.fact("classification")
        entries = listed if isinstance(listed, list) else []
        return tuple(str(each.get("output")) for each in entries if isinstance(each, Mapping))

    @property
    def largest_share(self) -> float | None:
        """The largest part of its tolerance that any error takes."""
        listed = self.fact("tensors")
        shares = [each.get("share") for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
        found = [float(share) for share in shares if isinstance(share, (int, float)) or share == "Infinity"]
        return max(found, default=None)

    def _rows(self) -> list[Mapping[str, Any]]:
        listed = self.fact("classification")
        entries = [each for each in listed if isinstance(each, Mapping)] if isinstance(listed, list) else []
        tables = [each["rows"] for each in entries if isinstance(each.get("rows"), list)]
        return [row for table in tables for row in table if isinstance(row, Mapping)]


def read_side(path: Path) -> Side:
    """What a run left.

    Args:
        path: a folder of --report, a record (.json) with its OUT.npz beside it, or an OUT.npz alone.

    Raises:
        UsageError: it is none of these, or cannot be read.
    """
    if path.is_dir():
        vectors = _tensors(path / _VECTORS) if (path / _VECTORS).exists() else {}
        got = {name.removeprefix(_GOT): array for name, array in vectors.items() if name.startswith(_GOT)}
        return Side(path.name, _record(path / _RECORD), got)
    if path.suffix == ".json":
        beside = path.with_suffix(".npz")
        return Side(path.name, _record(path), _tensors(beside) if beside.exists() else {})
    return Side(path.name, {}, _tensors(path))


def files_of_run(path: Path) -> tuple[Path, ...]:
    """Every file that `read_side` may read of a run."""
    if path.is_dir():
        return path / _RECORD, path / _VECTORS
    return path, path.with_suffix(".npz")


def is_run(path: Path) -> bool:
    """Whether a path is what a run left, and no model: a folder, a record, or an .npz with a run's tensors."""
    if path.is_dir() or path.suffix == ".json":
        return True
    if path.suffix != ".npz" or not path.is_file():
        return False
    return any(name.rpartition(".")[2] in ("h", "c", "h_last", "c_last") or _is_output(name) for name in _arrays(path))


def _is_output(name: str) -> bool:
    return name == "output" or name.startswith("output.")


def _record(path: Path) -> Mapping[str, Any]:
    try:
        refuse_pipe(path)
        if path.stat().st_size > _MAX_BYTES:
            raise ValueError(f"it has more than {_MAX_BYTES} bytes")
        record = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(record, dict) or record.get("schema") != _SCHEMA:
            raise ValueError(f"its schema is not {_SCHEMA}")
    except (OSError, ValueError, RecursionError) as error:
        raise _unreadable(path, error, "give a record that `hil validate --json` or --report wrote") from error
    return record


def _tensors(path: Path) -> dict[str, NDArray[np.float32]]:
    return {name: array for name, array in _arrays(path).items() if array.dtype == np.float32 and array.size}


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        return read_arrays(path, _MAX_BYTES)
    except (OSError, ValueError) as error:
        raise _unreadable(path, error, "give an OUT.npz that `hil validate --save` or --report wrote") from error


def _unreadable(path: Path, error: Exception, remedy: str) -> UsageError:
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return UsageError(f"{path} cannot be read: {reason}", code="run_unreadable", remedy=remedy)


def _count(row: Mapping[str, Any], name: str) -> int:
    value = row.get(name)
    return value if isinstance(value, int) else 0
