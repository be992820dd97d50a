"""Reads .npz files that anyone may have made: plain arrays, of bounded size, and nothing unpickled."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from harness.model.array_types import Float32Array


def read_arrays(source: Path | IO[bytes], max_bytes: int) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by their names.

    Args:
        source: the file.
        max_bytes: most bytes that it may unpack to.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it cannot be read; the text says why.
    """
    try:
        if isinstance(source, Path) and source.exists() and not source.is_file():
            raise ValueError("it is no regular file")  # a pipe would be waited for, without end
        with zipfile.ZipFile(source) as archive:
            unpacked_bytes = sum(member.file_size for member in archive.infolist())
        if unpacked_bytes > max_bytes:
            raise ValueError(f"it unpacks to {unpacked_bytes} bytes, and {max_bytes} are read at most")
        if not isinstance(source, Path):
            source.seek(0)
        with np.load(source, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise ValueError(f"'{name}' is no array")
    except FileNotFoundError:
        raise
    # Whatever zipfile, zlib and NumPy find wrong with a file is the file's fault, a MemoryError from a header included.
    except Exception as error:
        raise ValueError(str(error).splitlines()[0] if str(error) else type(error).__name__) from error
    return arrays


def as_float32(array: NDArray[Any]) -> Float32Array:
    """Real numbers as a new float32 array.

    Raises:
        TypeError: they are no real numbers.
        OverflowError: float32 cannot hold one of them.
    """
    if array.dtype.kind not in "fiu":
        raise TypeError(str(array.dtype))
    with np.errstate(over="ignore"):
        converted = np.array(array, dtype=np.float32, order="C")
    if np.any(np.isinf(converted) & np.isfinite(array)):
        raise OverflowError(str(array.dtype))
    return converted
