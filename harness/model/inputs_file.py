"""Reads the inputs of a run from an .npz file and holds them against the model. NumPy only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import InputsRefused
from harness.model.array_types import BoolArray, Float32Array
from harness.model.arrays import check_shape, class_numbers, listed, read_npz, real_numbers, truth_values
from harness.model.inputs import Inputs, state_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec

_CALLS = "x_calls"
_RESETS = "reset_before"
_LABELS = "labels"


def load_inputs(path: str | os.PathLike[str], spec: ModelSpec) -> Inputs:
    """Reads an .npz file and holds it against the model. Nothing in the file is unpickled.

    Args:
        path: a file with the model's inputs by their names, (B, T, size) or (B, size), a single one also as `x`; its
            bool input, if it has one, by its name, (B, T), else an optional `mask` (B, T) bool; initial states that are
            inputs of the model by their names, of other layers as optional `<layer>.h0` and `<layer>.c0`, (B, units).
            One of such a pair alone means zeros for the other.
            Of a stateful model also `x_calls` (N, B, T, input_size) in place of x: N calls in order, with an optional
            `reset_before` (N) bool; the other arrays then have N as their first axis, or serve all calls.
            The true classes as optional `labels`, of several outputs `labels.0`, ...: integers, -1 where nobody knows.
        spec: the model.

    Raises:
        InputsRefused: the file cannot be read, or an array of it does not fit: name, shape or dtype.
    """
    path = Path(path)
    return inputs_from_arrays(path, read_npz(path), spec)


def inputs_from_arrays(path: Path, arrays: Mapping[str, NDArray[Any]], spec: ModelSpec) -> Inputs:
    """The inputs that arrays hold, as a file has them. Errors: see `load_inputs`.

    Args:
        path: the file that they were read from, for messages.
        arrays: by their names.
        spec: the model.
    """
    return _File(path, arrays, spec).inputs()


def input_arrays(inputs: Inputs, spec: ModelSpec) -> dict[str, NDArray[Any]]:
    """The arrays of a file that `load_inputs` reads as these inputs.

    Args:
        inputs: of the model.
        spec: the model.
    """
    has_calls = inputs.reset_before is not None
    arrays: dict[str, NDArray[Any]] = {_CALLS if has_calls else spec.input_name: inputs.x, **inputs.beside}
    if inputs.reset_before is not None:
        arrays[_RESETS] = inputs.reset_before
    if inputs.mask is not None:
        arrays[spec.mask_input or "mask"] = inputs.mask
    of_model = {state: name for name, states in spec.state_inputs.items() for state in states}
    arrays.update({of_model.get(state, state): values for state, values in inputs.initial.items()})
    labels = {name: name.replace("output", _LABELS) for name in spec.output_names}
    arrays.update({labels[name]: values for name, values in inputs.labels.items()})
    return arrays


class _File:
    """The arrays of one file; what was taken is gone."""

    def __init__(self, path: Path, arrays: Mapping[str, NDArray[Any]], spec: ModelSpec) -> None:
        self._path = path
        self._spec = spec
        self._arrays = dict(arrays)
        self._notes: list[str] = []
        self._reset_before: BoolArray | None = None

    def inputs(self) -> Inputs:
        x = self._take_x()
        batch, steps = x.shape[-3], x.shape[-2]
        # Names of the model's own come before those that the format reserves.
        initial = self._take_state_inputs(batch)
        beside = self._take_beside(batch, steps)
        mask = self._take_mask((batch, steps))
        initial.update(self._take_layer_states(batch))
        labels = self._take_labels()
        self._refuse_unknown()
        return Inputs(
            x=x,
            mask=mask,
            initial=initial,
            reset_before=self._reset_before,
            notes=tuple(self._notes),
            beside=beside,
            labels=labels,
        )

    def _take_x(self) -> Float32Array:
        spec = self._spec
        own = {spec.input_name, spec.mask_input, *spec.state_inputs, *(each.name for each in spec.beside)}
        if _CALLS in self._arrays and _CALLS not in own:
            self._take_calls()
            name = _CALLS
        else:
            names = [spec.input_name] if "x" in own or spec.beside else [spec.input_name, "x"]
            name = next((name for name in names if name in self._arrays), "")
            if not name:
                raise InputsRefused(
                    f"{self._path} has no array {' and no '.join(map(repr, names))}; it has {listed(self._arrays)}.",
                    code="inputs_missing",
                    remedy=f"Store the model's input as {names[-1]}: np.savez('{self._path.name}', {names[-1]}=...).",
                )
        return self._take_float32(name, (None, spec.steps, spec.input_size), ("batch", "steps", "features"))

    def _take_calls(self) -> None:
        """How many calls there are, and before which of them states are reset."""
        stateful = [node.name for _, node in self._spec.lstm_nodes() if node.stateful]
        if not stateful:
            raise InputsRefused(
                f"{self._path} holds '{_CALLS}', and no LSTM of model '{self._spec.name}' has stateful=True: "
                "nothing would go from one call to the next.",
                code="inputs_unknown",
                remedy="Give the calls as one batch `x`; or save the model with stateful=True and a fixed batch.",
            )
        calls = self._arrays[_CALLS]
        axes = ("calls", "batch", "steps", "features")
        check_shape(self._path, _CALLS, calls.shape, (None, None, self._spec.steps, self._spec.input_size), axes)
        resets = self._arrays.pop(_RESETS, None)
        if resets is None:
            self._notes.append(f"'{_RESETS}' is not given: no reset between the calls")
            resets = np.zeros(len(calls), dtype=np.bool_)
        check_shape(self._path, _RESETS, resets.shape, (len(calls),), ("calls",))
        self._reset_before = truth_values(self._path, _RESETS, resets, "the states are reset before the call")

    def _take_beside(self, batch: int, steps: int) -> dict[str, Float32Array]:
        """The model's inputs beside the first sequence."""
        taken: dict[str, Float32Array] = {}
        for each in self._spec.beside:
            if each.name not in self._arrays:
                raise InputsRefused(
                    f"{self._path} has no array '{each.name}', an input of model '{self._spec.name}'.",
                    code="inputs_missing",
                    remedy=f"Store '{each.name}' as float32, {'(batch, steps, ' if each.is_sequence else '(batch, '}"
                    f"{each.size}).",
                )
            length = steps if each.steps is None and self._spec.one_length else each.steps
            shape = (batch, length, each.size) if each.is_sequence else (batch, each.size)
            axes = ("batch", "steps", "features") if each.is_sequence else ("batch", "features")
            taken[each.name] = self._take_float32(each.name, shape, axes)
        return taken

    def _take_mask(self, shape: tuple[int, ...]) -> BoolArray | None:
        """The mask input of the model by its name, or the `mask` for a model without one."""
        spec, path = self._spec, self._path
        name = spec.mask_input or "mask"
        if name not in self._arrays and spec.mask_input is None:
            return None
        self._check_mask_wanted(name)
        if name not in self._arrays:
            raise InputsRefused(
                f"{path} has no array '{name}', the mask input of model '{spec.name}'.",
                code="inputs_missing",
                remedy=f"Store '{name}' as a bool array (batch, steps): True where the step counts.",
            )
        mask = truth_values(path, name, self._arrays.pop(name), "the step counts")
        if "mask" in self._arrays:
            raise InputsRefused(
                f"{path} holds 'mask' beside '{name}', the mask input of model '{spec.name}'; one mask can be obeyed.",
                code="inputs_unknown",
                remedy=f"Leave 'mask' out: the layers that obey '{name}' are chosen in the model.",
            )
        mask = self._of_each_call(name, mask, shape, ("batch", "steps"))
        if not any(node.masked for _, node in spec.lstm_nodes()):
            raise InputsRefused(
                f"{path} holds '{name}', and Keras gives it to no LSTM of model '{spec.name}': a mask that comes with "
                "the model's input does not reach a layer that is called with an initial_state.",
                code="inputs_unknown",
                remedy="Leave it out, or make it a bool Input of the model that is the layer's `mask=`.",
            )
        return mask

    def _check_mask_wanted(self, name: str) -> None:
        """Refuses a mask for a model that makes its own, or with a layer that does with it what is not run."""
        spec, path = self._spec, self._path
        if spec.mask_value is not None:
            raise InputsRefused(
                f"{path} holds '{name}', and model '{spec.name}' makes its own mask of '{spec.input_name}' (Masking).",
                code="inputs_unknown",
                remedy=f"Leave it out, and set the steps that do not count to {spec.mask_value:g}.",
            )
        if any(each.is_sequence for each in spec.beside) and spec.mask_input is None:
            raise InputsRefused(
                f"{path} holds '{name}', and model '{spec.name}' has several sequences; a mask is run for one.",
                code="inputs_unknown",
                remedy="Make the mask a bool Input of the model, and the `mask=` of its LSTM layers.",
            )
        if spec.mask_refuser is not None:
            raise InputsRefused(
                f"{path} holds '{name}', and layer '{spec.mask_refuser}' of model '{spec.name}' leaves masked steps "
                "out of what it computes, which this version does not run.",
                code="inputs_unknown",
                remedy="Leave the mask out, or use Concatenate or Add in the model.",
            )

    def _take_state_inputs(self, batch: int) -> dict[str, Float32Array]:
        """The initial states that are inputs of the model, by the layers' names for them."""
        initial: dict[str, Float32Array] = {}
        for name, (units, states) in state_inputs(self._spec).items():
            if name not in self._arrays:
                raise InputsRefused(
                    f"{self._path} has no array '{name}', which model '{self._spec.name}' takes as {listed(states)}.",
                    code="inputs_missing",
                    remedy=f"Store '{name}' as float32 (batch, {units}).",
                )
            initial.update(dict.fromkeys(states, self._take_float32(name, (batch, units), ("batch", "units"))))
        return initial

    def _take_layer_states(self, batch: int) -> dict[str, Float32Array]:
        """The initial states of layers that the model gives none."""
        initial: dict[str, Float32Array] = {}
        for node in self._free_lstms():
            names = (f"{node.name}.h0", f"{node.name}.c0")
            given = [name for name in names if name in self._arrays]
            for name in given:
                initial[name] = self._take_float32(name, (batch, node.units), ("batch", "units"))
            if len(given) == 1:
                (missing,) = set(names) - set(given)
                initial[missing] = np.zeros_like(initial[given[0]])
                self._notes.append(f"'{missing}' is not given: zeros")
            if given and node.stateful and self._reset_before is not None:
                self._notes.append(f"{listed(names)} are given to every call, in place of what the call before left")
        return initial

    def _take_labels(self) -> dict[str, NDArray[np.int64]]:
        """The true classes, by output. Their shapes are those of values that only the oracle knows."""
        names = {name.replace("output", _LABELS): name for name in self._spec.output_names}
        return {
            output: class_numbers(self._path, name, self._arrays.pop(name))
            for name, output in names.items()
            if name in self._arrays
        }

    def _refuse_unknown(self) -> None:
        """Whatever was not taken is nothing that the model knows."""
        spec = self._spec
        for name in self._arrays:
            if name == _RESETS:
                raise InputsRefused(
                    f"{self._path} holds '{_RESETS}' without '{_CALLS}'.",
                    code="inputs_unknown",
                    remedy=f"Store the calls of a stateful model as '{_CALLS}' (calls, batch, steps, features).",
                )
            states = [f"{node.name}.{state}" for node in self._free_lstms() for state in ("h0", "c0")]
            others = [each.name for each in spec.beside]
            first = f"'{spec.input_name}'" if others else f"'{spec.input_name}' or 'x'"
            known = listed([*others, spec.mask_input or "mask", *spec.state_inputs, *states, _LABELS])
            raise InputsRefused(
                f"{self._path} holds '{name}', which model '{spec.name}' does not know.",
                code="inputs_unknown",
                remedy=f"Known names: {first}, {known}.",
            )

    def _free_lstms(self) -> list[LstmNode]:
        """The LSTMs whose initial states come from nowhere in the model."""
        lstms = (node for _, node in self._spec.lstm_nodes())
        return [node for node in lstms if node.h0_input is None and node.initial is None]

    def _take_float32(self, name: str, shape: tuple[int | None, ...], axes: tuple[str, ...]) -> Float32Array:
        array = real_numbers(self._path, name, self._arrays.pop(name), self._notes)
        return self._of_each_call(name, array, shape, axes)

    def _of_each_call(
        self, name: str, array: Any, shape: tuple[int | None, ...], axes: tuple[str, ...]
    ) -> NDArray[Any]:
        """An array of the shape; with calls, one for each of them or one that serves all."""
        if self._reset_before is None:
            check_shape(self._path, name, array.shape, shape, axes)
            return np.asarray(array)
        calls = len(self._reset_before)
        if array.ndim > len(shape):
            check_shape(self._path, name, array.shape, (calls, *shape), ("calls", *axes))
            return np.asarray(array)
        check_shape(self._path, name, array.shape, shape, axes)
        return np.broadcast_to(array, (calls, *array.shape))
