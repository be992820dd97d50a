"""The inputs of a whole Keras model, of which one LSTM is validated alone: any rank and type. NumPy only."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused
from harness.model.array_types import BoolArray
from harness.model.arrays import check_shape, listed, read_npz, real_numbers, sha256_of, truth_values
from harness.model.inputs import DEFAULT_BATCH, DEFAULT_STEPS


@dataclass(frozen=True)
class InputSpec:
    """An input of a Keras model.

    Attributes:
        name: its name.
        shape: with the batch; None where the model leaves a size open.
        dtype: e.g. "float32", "int64", "bool".
        below: random integers are smaller than this; None: nobody knows which integers mean something.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    below: int | None = None


@dataclass(frozen=True, eq=False)
class WholeInputs:
    """What the whole model is given; with `reset_before` every array has the calls as its first axis.

    Attributes:
        arrays: one for each input, by its name.
        mask: bool (B, T), given to the model as `mask=`.
        reset_before: bool (N), True where a call starts from zero states; None: one call.
        seed: of random inputs, else None.
        notes: what was done to the file's values.
    """

    arrays: Mapping[str, NDArray[Any]]
    mask: BoolArray | None = None
    reset_before: BoolArray | None = None
    seed: int | None = None
    notes: tuple[str, ...] = ()

    @cached_property
    def sha256(self) -> str:
        """Over names, shapes and values, in hex."""
        optional = {"mask=": self.mask, "reset_before": self.reset_before}
        return sha256_of({**self.arrays, **{name: array for name, array in optional.items() if array is not None}})

    @property
    def text(self) -> str:
        """The arrays as a message names them."""
        return ", ".join(f"'{name}' {array.dtype}{list(array.shape)}" for name, array in self.arrays.items())

    def rows(self, which: slice) -> WholeInputs:
        """Some of the sequences, of every call; an input without a batch stays as it is."""
        at = (slice(None),) * (self.reset_before is not None) + (which,)
        arrays = {name: array[at] if array.ndim >= len(at) else array for name, array in self.arrays.items()}
        return replace(self, arrays=arrays, mask=None if self.mask is None else self.mask[at])

    def each_call(self) -> Iterator[tuple[bool, WholeInputs]]:
        """Each call as inputs of its own, and whether it starts from zero states: the first one always does."""
        if self.reset_before is None:
            yield True, self
            return
        for call, reset in enumerate(self.reset_before):
            arrays = {name: array[call] for name, array in self.arrays.items()}
            mask = None if self.mask is None else self.mask[call]
            yield bool(reset) or call == 0, replace(self, arrays=arrays, mask=mask, reset_before=None)


def random_whole_inputs(
    specs: Sequence[InputSpec], batch: int | None = None, steps: int | None = None, seed: int = 0
) -> WholeInputs:
    """Floats from N(0, 1), integers that an Embedding knows, every bool True; the same arguments give the same bits.

    Args:
        specs: the model's inputs.
        batch: size of the first axis, where the model leaves it open.
        steps: size of the second one, where the model leaves it open.
        seed: 0 or more.

    Raises:
        InputsRefused: an input for which no values can be made up.
    """
    generator = np.random.default_rng(seed)
    fixed = next((spec.shape[0] for spec in specs if spec.shape and spec.shape[0] is not None), None)
    sizes = (batch or fixed or DEFAULT_BATCH, steps or DEFAULT_STEPS)
    arrays: dict[str, NDArray[Any]] = {}
    for spec in specs:
        shape = tuple(size or (sizes[axis] if axis < len(sizes) else 0) for axis, size in enumerate(spec.shape))
        kind = np.dtype(spec.dtype).kind if spec.dtype != "string" else "U"
        if 0 in shape or kind not in "fbiu" or (kind in "iu" and spec.below is None):
            raise InputsRefused(
                f"No values can be made up for the input '{spec.name}', {spec.dtype}{list(spec.shape)}.",
                code="inputs_missing",
                remedy="Give an inputs file (--inputs) with one array for each input of the model, by its name.",
            )
        if kind == "f":
            arrays[spec.name] = generator.standard_normal(shape).astype(spec.dtype)
        elif kind == "b":
            arrays[spec.name] = np.ones(shape, dtype=np.bool_)
        else:
            arrays[spec.name] = generator.integers(0, spec.below, shape).astype(spec.dtype)
    return WholeInputs(arrays, seed=seed)


def load_whole_inputs(path: str | os.PathLike[str], specs: Sequence[InputSpec]) -> WholeInputs:
    """Reads the inputs of a whole model from an .npz file.

    Args:
        path: a file with one array for each input by its name, or `x` for a single one; for a single one also an
            optional `mask` (B, T) bool. `x_calls` (N, ...) in place of a single input, with an optional `reset_before`
            (N) bool, are calls in order.
        specs: the model's inputs.

    Raises:
        InputsRefused: the file cannot be read, or an array of it does not fit: name, shape or dtype.
    """
    path = Path(path)
    return whole_inputs_from_arrays(path, read_npz(path), specs)


def whole_inputs_from_arrays(path: Path, given: Mapping[str, NDArray[Any]], specs: Sequence[InputSpec]) -> WholeInputs:
    """The inputs that arrays hold, as a file has them. Errors: see `load_whole_inputs`.

    Args:
        path: the file that they were read from, for messages.
        given: the arrays by their names.
        specs: the model's inputs.
    """
    arrays, notes = dict(given), list[str]()
    names = {spec.name for spec in specs}
    single = specs[0].name if len(specs) == 1 else None
    has_calls = single is not None and "x_calls" in arrays and "x_calls" not in names
    if single is not None and single not in arrays:
        arrays = {single if name == ("x_calls" if has_calls else "x") else name: a for name, a in arrays.items()}
    taken = {spec.name: _take(path, spec, arrays, notes, has_calls=has_calls) for spec in specs}
    first = taken[specs[0].name]
    rows = {name: array.shape[int(has_calls)] for name, array in taken.items() if array.ndim > int(has_calls)}
    if len(set(rows.values())) > 1:
        raise InputsRefused(
            f"The inputs in {path} have batches of different sizes: {rows}.",
            code="inputs_shape",
            remedy="Give every input the same first axis.",
        )
    mask, resets = None, None
    if single is not None and "mask" in arrays:
        mask = truth_values(path, "mask", arrays.pop("mask"), "the step counts")
        check_shape(
            path, "mask", mask.shape, first.shape[: 2 + int(has_calls)], ("calls", "batch", "steps")[-mask.ndim :]
        )
    if has_calls:
        flags = arrays.pop("reset_before", np.zeros(len(first), dtype=np.bool_))
        check_shape(path, "reset_before", flags.shape, (len(first),), ("calls",))
        resets = truth_values(path, "reset_before", flags, "the states are reset before the call")
    for name in [name for name in arrays if name.partition(".")[0] == "labels"]:
        del arrays[name]
        notes.append(f"'{name}' are of the model's output, and one LSTM is validated alone: not used")
    if arrays:
        raise InputsRefused(
            f"{path} holds {listed(arrays)}, which the model does not know.",
            code="inputs_unknown",
            remedy=f"Known names: {listed(names)}{' or x, mask' if single is not None else ''}.",
        )
    return WholeInputs(taken, mask, resets, notes=tuple(notes))


def whole_input_arrays(inputs: WholeInputs) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `load_whole_inputs` reads as these inputs."""
    arrays = dict(inputs.arrays)
    if inputs.reset_before is not None:
        (calls,) = arrays.values()  # only a model with a single input has calls
        arrays = {"x_calls": calls, "reset_before": inputs.reset_before}
    if inputs.mask is not None:
        arrays["mask"] = inputs.mask
    return arrays


def _take(
    path: Path, spec: InputSpec, arrays: dict[str, NDArray[Any]], notes: list[str], *, has_calls: bool
) -> NDArray[Any]:
    if spec.name not in arrays:
        raise InputsRefused(
            f"{path} has no array '{spec.name}'; it has {listed(arrays)}.",
            code="inputs_missing",
            remedy=f"Store '{spec.name}' as {spec.dtype}{list(spec.shape)}.",
        )
    array = arrays.pop(spec.name)
    axes = ("batch", *(f"axis {axis}" for axis in range(1, len(spec.shape))))
    shape = (None, *spec.shape) if has_calls else spec.shape
    check_shape(path, spec.name, array.shape, shape, ("calls", *axes) if has_calls else axes)
    if spec.dtype == "bool":
        return truth_values(path, spec.name, array, "it is so")
    if spec.dtype == "float32":
        return real_numbers(path, spec.name, array, notes)
    if spec.dtype == "string" or array.dtype.kind not in ("iu" if np.dtype(spec.dtype).kind in "iu" else "iuf"):
        raise InputsRefused(
            f"'{spec.name}' in {path} is {array.dtype}; the model takes {spec.dtype}.",
            code="inputs_dtype",
            remedy="Strings cannot be given." if spec.dtype == "string" else f"Store array.astype('{spec.dtype}').",
        )
    converted = array.astype(spec.dtype)
    if array.dtype.kind in "iu" and not np.array_equal(converted, array):
        raise InputsRefused(
            f"'{spec.name}' in {path} has {array.dtype} values that {spec.dtype} does not have.",
            code="inputs_range",
            remedy=f"Store values of {spec.dtype}.",
        )
    if array.dtype.newbyteorder("=") != np.dtype(spec.dtype):
        notes.append(f"'{spec.name}' was {array.dtype} and is cast to {spec.dtype}")
    return converted
