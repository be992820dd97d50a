"""The arrays of an inputs file, checked by dtype and shape; what does not fit is refused. NumPy only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused
from harness.model.array_types import BoolArray, Float32Array
from harness.model.npz import as_float32, read_arrays

MAX_INPUT_BYTES = 256 << 20
"""Most bytes that an inputs file may unpack to: at 921600 baud they would take 48 minutes to send."""


def read_npz(path: Path, *, of: str = "inputs", example: str = "x=...") -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by their names. Nothing in it is unpickled.

    Args:
        path: the file.
        of: what the file is to hold, for errors and their codes: inputs, expected.
        example: an array of such a file, as np.savez is told of it.

    Raises:
        InputsRefused: it is not there, or cannot be read whole.
    """
    try:
        return read_arrays(path, MAX_INPUT_BYTES)
    except FileNotFoundError:
        raise InputsRefused(
            f"There is no file {path}.", code=f"{of}_not_found", remedy=f"Check the path that --{of} names."
        ) from None
    except ValueError as error:
        raise InputsRefused(
            f"{path} cannot be read as .npz: {error}",
            code=f"{of}_unreadable",
            remedy=f"Write it with np.savez(path, {example}), without objects in it.",
        ) from error


def real_numbers(path: Path, name: str, array: NDArray[Any], notes: list[str]) -> Float32Array:
    """An array of real numbers as float32. What that does to the values is noted, and may not lose the range."""
    try:
        converted = as_float32(array)
    except TypeError:
        raise InputsRefused(
            f"'{name}' in {path} is {array.dtype}, not float32.",
            code="inputs_dtype",
            remedy="Store real numbers: array.astype(np.float32).",
        ) from None
    except OverflowError:
        raise InputsRefused(
            f"'{name}' in {path} has {array.dtype} values beyond the range of float32.",
            code="inputs_range",
            remedy="Scale it to values below 3.4e38.",
        ) from None
    if array.dtype.newbyteorder("=") != np.float32:
        notes.append(f"'{name}' was {array.dtype} and is cast to float32")
    return converted


def truth_values(path: Path, name: str, array: NDArray[Any], meaning: str) -> BoolArray:
    """An array of bool; `meaning` says what True stands for."""
    if array.dtype != np.bool_:
        raise InputsRefused(
            f"'{name}' in {path} is {array.dtype}, not bool.",
            code="inputs_dtype",
            remedy=f"Store it as {name}.astype(bool): True where {meaning}.",
        )
    return np.array(array, order="C")


def class_numbers(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.int64]:
    """Numbers of classes."""
    if array.dtype.kind not in "iu" or array.dtype == np.uint64:
        raise InputsRefused(
            f"'{name}' in {path} is {array.dtype}, not an integer type.",
            code="inputs_dtype",
            remedy="Store the number of the class of each sample, of one-hot labels y.argmax(axis=-1).",
        )
    return array.astype(np.int64)


def check_shape(
    path: Path, name: str, got: tuple[int, ...], expected: tuple[int | None, ...], axes: tuple[str, ...]
) -> None:
    """Refuses a shape; None in `expected` stands for any size of at least 1."""
    fits = len(got) == len(expected) and all(
        size >= 1 if wanted is None else size == wanted for size, wanted in zip(got, expected, strict=False)
    )
    if fits and 0 not in got:
        return
    wanted_text = ", ".join(
        f"{axis} >= 1" if size is None else f"{axis} = {size}" for axis, size in zip(axes, expected, strict=True)
    )
    if len(got) == len(expected):
        wrong = [
            f"{axis} = {size} must be {'at least 1' if wanted is None else wanted}"
            for axis, size, wanted in zip(axes, got, expected, strict=True)
            if size == 0 or wanted not in (None, size)
        ]
        remedy = f"Give an array of this shape: {', '.join(wrong)}."
    else:
        remedy = f"Give an array of {len(axes)} axes ({', '.join(axes)}); this one has {len(got)}."
    raise InputsRefused(
        f"'{name}' in {path} has the shape {tuple(got)}; expected ({wanted_text}).", code="inputs_shape", remedy=remedy
    )


def sha256_of(arrays: Mapping[str, NDArray[Any]]) -> str:
    """A hash over names, types, shapes and values, in hex; the same on every byte order."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.newbyteorder('<')} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
    return digest.hexdigest()


def listed(names: Iterable[str]) -> str:
    """Names for a message."""
    return ", ".join(f"'{name}'" for name in names) or "no array"
