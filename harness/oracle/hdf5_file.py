"""Looks into an HDF5 file without Keras, and without trusting libhdf5: `hdf5_reader.py` does it in another process."""

from __future__ import annotations

import atexit
import json
import os
import selectors
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.processes import end_with_us

READ_TIMEOUT_S = 20.0
"""Longest time for one file. The largest that is read takes 1 s; the rest is for a busy machine."""

_END_TIMEOUT_S = 1.0
"""A process that crashed closes its output a moment before it is gone; one that waits ends with its input."""

_PROJECT = Path(__file__).resolve().parents[2]


class BadHdf5(Exception):
    """An HDF5 file that is damaged, or holds what Keras does not write; the text says what."""


@dataclass(frozen=True)
class Hdf5Content:
    """What an HDF5 file holds.

    Attributes:
        texts: of the root's attributes those of "model_config", "keras_version" and "backend" that are there.
        layers: pairs of a layer's name and the paths of its arrays, in the model's order; None in files of weights as
            Keras 3 writes them, and in files that are not Keras' at all.
        arrays: shape and dtype of all arrays, by their paths.
    """

    texts: Mapping[str, str]
    layers: Sequence[tuple[str, Sequence[str]]] | None
    arrays: Mapping[str, tuple[tuple[int, ...], str]]


def read_hdf5(path: Path) -> Hdf5Content:
    """Reads all of a file.

    Raises:
        BadHdf5: it is damaged, larger than a model can be, or holds links, foreign types or filters.
    """
    with _lock:
        said = _reader().ask(path)
    if "refused" in said:
        raise BadHdf5(said["refused"])
    layers = said["layers"]
    return Hdf5Content(
        texts=said["texts"],
        layers=None if layers is None else [(name, weights) for name, weights in layers],
        arrays={name: (tuple(shape), dtype) for name, (shape, dtype) in said["arrays"].items()},
    )


class _Reader:
    """The process that reads, started when first needed and kept for further files."""

    def __init__(self) -> None:
        # One thread: the memory that each of BLAS's threads maps would count against the limit.
        environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "harness.oracle.hdf5_reader"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=_PROJECT,  # where `harness` is found
            env=environment,
            preexec_fn=end_with_us(),  # noqa: PLW1509 - two system calls; it may hang in libhdf5, past its input's end
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def ask(self, path: Path) -> dict[str, Any]:
        """What the process says of a file; one that it does not survive is refused, and so is one that takes long."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps(str(path.absolute())).encode() + b"\n")
            self._process.stdin.flush()
            with selectors.DefaultSelector() as selector:
                selector.register(self._process.stdout, selectors.EVENT_READ)
                answered = selector.select(READ_TIMEOUT_S)
            line = self._process.stdout.readline() if answered else b""
        except OSError:
            line = b""
        if not line.endswith(b"\n"):
            return {"refused": "libhdf5 crashes on it" if self.close() else "reading it does not end"}
        said: dict[str, Any] = json.loads(line)
        return said

    def close(self) -> bool:
        """End the process. Gives whether it ended by itself."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()
        try:
            self._process.wait(_END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            return False
        return True


_lock = threading.Lock()
_kept: list[_Reader] = []


def _reader() -> _Reader:
    if _kept and not _kept[0].is_alive:
        _kept.pop().close()
    if not _kept:
        _kept.append(_Reader())
    return _kept[0]


@atexit.register
def _end() -> None:
    while _kept:
        _kept.pop().close()
