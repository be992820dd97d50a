"""The inputs of a run: from a seed, or from an .npz file that is checked against the model. NumPy only."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused
from harness.model.npz import as_float32, read_arrays
from harness.model.spec import BoolArray, Float32Array, LstmNode, ModelSpec

MAX_INPUT_BYTES = 256 << 20
"""Most bytes that an inputs file may unpack to: at 921600 baud they would take 48 minutes to send."""

_LATER = frozenset({"x_calls", "reset_before"})
"""Names that the format reserves for stateful models, which this version does not run."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What both Keras and the device are given.

    Attributes:
        x: float32 (B, T, input_size).
        mask: bool (B, T), False where a step is skipped; None: every step counts.
        initial: `<layer>.h0` and `<layer>.c0`, float32 (B, units), for the layers that do not start at zero.
        sha256: over names, shapes and values, in hex: the same values give the same hash wherever they came from.
        seed: of random inputs, else None.
        notes: what was done to the file's values, for the report.
    """

    x: Float32Array
    mask: BoolArray | None = None
    initial: Mapping[str, Float32Array] = field(default_factory=dict)
    seed: int | None = None
    notes: tuple[str, ...] = ()
    sha256: str = field(init=False)

    def __post_init__(self) -> None:
        arrays: dict[str, NDArray[Any]] = {"x": self.x, **self.initial}
        if self.mask is not None:
            arrays["mask"] = self.mask
        object.__setattr__(self, "sha256", _sha256(arrays))

    @property
    def batch(self) -> int:
        """Sequences."""
        return int(self.x.shape[0])

    @property
    def steps(self) -> int:
        """Steps of each sequence."""
        return int(self.x.shape[1])


def random_inputs(spec: ModelSpec, batch: int = 8, steps: int = 16, seed: int = 0) -> Inputs:
    """N(0, 1) inputs, initial states that are inputs of the model too; where it has a mask input, every step counts.

    The same arguments give the same bits.

    Args:
        spec: the model.
        batch: sequences, at least 1.
        steps: steps of each, at least 1; a model that fixes its own has those.
        seed: 0 or more.

    Raises:
        InputsRefused: an argument is out of its range.
    """
    steps = steps if spec.steps is None else spec.steps
    for name, value, least in (("batch", batch, 1), ("steps", steps, 1), ("seed", seed, 0)):
        if value < least:
            raise InputsRefused(
                f"{name} is {value}.", code="inputs_range", remedy=f"Give a {name} of at least {least}."
            )
    generator = np.random.default_rng(seed)
    x = generator.standard_normal((batch, steps, spec.input_size)).astype(np.float32)
    mask = None if spec.mask_input is None else np.ones((batch, steps), dtype=np.bool_)
    initial = {}
    for units, states in _state_inputs(spec).values():
        values = generator.standard_normal((batch, units)).astype(np.float32)
        initial.update(dict.fromkeys(states, values))
    return Inputs(x=x, mask=mask, initial=initial, seed=seed)


def load_inputs(path: str | os.PathLike[str], spec: ModelSpec) -> Inputs:
    """Reads an .npz file and holds it against the model. Nothing in the file is unpickled.

    Args:
        path: a file with the model's input by its name or as `x`, (B, T, input_size); its bool input, if it has one,
            by its name, (B, T), else an optional `mask` (B, T) bool; initial states that are inputs of the model by
            their names, of other layers as optional `<layer>.h0` and `<layer>.c0`, (B, units). One of such a pair
            alone means zeros for the other.
        spec: the model.

    Raises:
        InputsRefused: the file cannot be read, or an array of it does not fit: name, shape or dtype.
    """
    path = Path(path)
    arrays = _read(path)
    names = [spec.input_name] if "x" in (spec.mask_input, *spec.state_inputs) else [spec.input_name, "x"]
    input_name = next((name for name in names if name in arrays), None)
    if input_name is None:
        raise InputsRefused(
            f"{path} has no array {' and no '.join(map(repr, names))}; it has {_listed(arrays)}.",
            code="inputs_missing",
            remedy=f"Store the model's input as {names[-1]}: np.savez('{path.name}', {names[-1]}=...).",
        )
    notes: list[str] = []
    x = _float32(path, input_name, arrays.pop(input_name), notes)
    _check_shape(path, input_name, x.shape, (None, spec.steps, spec.input_size), ("batch", "steps", "features"))
    # Names of the model's own come before those that the format reserves.
    initial = _take_state_inputs(path, arrays, spec, x.shape[0], notes)
    mask = _take_mask(path, arrays, spec, x.shape[:2])
    initial.update(_take_layer_states(path, arrays, spec, x.shape[0], notes))
    _refuse_unknown(path, arrays, spec)
    return Inputs(x=x, mask=mask, initial=initial, notes=tuple(notes))


def _take_mask(
    path: Path, arrays: dict[str, NDArray[Any]], spec: ModelSpec, shape: tuple[int, ...]
) -> BoolArray | None:
    """The mask input of the model by its name, or the `mask` for a model without one."""
    name = spec.mask_input or "mask"
    mask = arrays.pop(name, None)
    if mask is None and spec.mask_input is None:
        return None
    if mask is None:
        raise InputsRefused(
            f"{path} has no array '{name}', the mask input of model '{spec.name}'.",
            code="inputs_missing",
            remedy=f"Store '{name}' as a bool array (batch, steps): True where the step counts.",
        )
    if "mask" in arrays:
        raise InputsRefused(
            f"{path} holds 'mask' beside '{name}', the mask input of model '{spec.name}'; one mask can be obeyed.",
            code="inputs_unknown",
            remedy=f"Leave 'mask' out: the layers that obey '{name}' are chosen in the model.",
        )
    if mask.dtype != np.bool_:
        raise InputsRefused(
            f"'{name}' in {path} is {mask.dtype}, not bool.",
            code="inputs_dtype",
            remedy=f"Store it as {name}.astype(bool): True where the step counts.",
        )
    _check_shape(path, name, mask.shape, shape, ("batch", "steps"))
    if not any(node.masked for _, node in spec.lstm_nodes()):
        raise InputsRefused(
            f"{path} holds '{name}', and Keras gives it to no LSTM of model '{spec.name}': a mask that comes with the "
            "model's input does not reach a layer that is called with an initial_state.",
            code="inputs_unknown",
            remedy="Leave it out, or make it a bool Input of the model that is the layer's `mask=`.",
        )
    return np.array(mask, order="C")


def _take_state_inputs(
    path: Path, arrays: dict[str, NDArray[Any]], spec: ModelSpec, batch: int, notes: list[str]
) -> dict[str, Float32Array]:
    """The initial states that are inputs of the model, by the layers' names for them."""
    initial: dict[str, Float32Array] = {}
    for name, (units, states) in _state_inputs(spec).items():
        if name not in arrays:
            raise InputsRefused(
                f"{path} has no array '{name}', which model '{spec.name}' takes as {_listed(states)}.",
                code="inputs_missing",
                remedy=f"Store '{name}' as float32 (batch, {units}).",
            )
        state = _float32(path, name, arrays.pop(name), notes)
        _check_shape(path, name, state.shape, (batch, units), ("batch", "units"))
        initial.update(dict.fromkeys(states, state))
    return initial


def _take_layer_states(
    path: Path, arrays: dict[str, NDArray[Any]], spec: ModelSpec, batch: int, notes: list[str]
) -> dict[str, Float32Array]:
    """The initial states of layers that the model gives none."""
    initial: dict[str, Float32Array] = {}
    for node in _free_lstms(spec):
        names = (f"{node.name}.h0", f"{node.name}.c0")
        given = [name for name in names if name in arrays]
        for name in given:
            state = _float32(path, name, arrays.pop(name), notes)
            _check_shape(path, name, state.shape, (batch, node.units), ("batch", "units"))
            initial[name] = state
        if len(given) == 1:
            (missing,) = set(names) - set(given)
            initial[missing] = np.zeros((batch, node.units), dtype=np.float32)
            notes.append(f"'{missing}' is not given: zeros")
    return initial


def _refuse_unknown(path: Path, arrays: Mapping[str, Any], spec: ModelSpec) -> None:
    """Whatever was not taken is nothing that the model knows."""
    for name in arrays:
        if name in _LATER:
            raise InputsRefused(
                f"{path} holds '{name}', for stateful models. This version does not run them.",
                code="inputs_unknown",
                remedy="Give the calls one by one, each with `x`, `<layer>.h0` and `<layer>.c0`.",
            )
        states = [f"{node.name}.{state}" for node in _free_lstms(spec) for state in ("h0", "c0")]
        known = _listed([spec.mask_input or "mask", *spec.state_inputs, *states])
        raise InputsRefused(
            f"{path} holds '{name}', which model '{spec.name}' does not know.",
            code="inputs_unknown",
            remedy=f"Known names: '{spec.input_name}' or 'x', {known}.",
        )


def _free_lstms(spec: ModelSpec) -> list[LstmNode]:
    """The LSTMs whose initial states are no inputs of the model."""
    return [node for _, node in spec.lstm_nodes() if node.h0_input is None]


def _state_inputs(spec: ModelSpec) -> dict[str, tuple[int, tuple[str, ...]]]:
    """The model's inputs that are initial states: units, and the `<layer>.h0` and `<layer>.c0` that each one is."""
    units = {f"{node.name}.{state}": node.units for _, node in spec.lstm_nodes() for state in ("h0", "c0")}
    return {name: (units[states[0]], states) for name, states in spec.state_inputs.items()}


def _read(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an .npz file by their names."""
    try:
        return read_arrays(path, MAX_INPUT_BYTES)
    except FileNotFoundError:
        raise InputsRefused(
            f"There is no file {path}.", code="inputs_not_found", remedy="Check the path to the inputs."
        ) from None
    except ValueError as error:
        raise InputsRefused(
            f"{path} cannot be read as .npz: {error}",
            code="inputs_unreadable",
            remedy="Write it with np.savez(path, x=...), without objects in it.",
        ) from error


def _float32(path: Path, name: str, array: NDArray[Any], notes: list[str]) -> Float32Array:
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


def _check_shape(
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
    raise InputsRefused(
        f"'{name}' in {path} has the shape {tuple(got)}; expected ({wanted_text}).",
        code="inputs_shape",
        remedy=f"Give an array of {len(axes)} axes: {', '.join(axes)}.",
    )


def _sha256(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = arrays[name]
        digest.update(f"{name} {array.dtype.newbyteorder('<')} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<"))).tobytes())
    return digest.hexdigest()


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "no array"
