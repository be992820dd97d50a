"""LSTM layers from an .npz file of their weights: a model of Keras 3 that has nothing else.

    kernel (input_size, 4 units), recurrent_kernel (units, 4 units), optional bias (4 units)
    0.kernel, 0.recurrent_kernel, 0.bias, 1.kernel, ...     for layers behind each other
    config                                                  optional: arguments of keras.layers.LSTM, as JSON

`config` is one object for all layers, or a list of one object each. What it does not say is as Keras 3 has it, except
that every layer but the last returns its sequences. The layer's name is `lstm`, of several `lstm_0`, `lstm_1`, ...
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.errors import ModelRefused
from harness.model.array_types import Float32Array
from harness.model.npz import as_float32, read_arrays
from harness.oracle.config_check import MAX_UNITS
from harness.oracle.runtime import KerasApi, hard_sigmoid_keras2
from harness.protocol.wire import MAX_NODES

MAX_WEIGHT_BYTES = 64 << 20
"""Most bytes that a file may unpack to. The device holds 0.5 MB."""

_OPTIONS = ("return_sequences", "return_state", "go_backwards", "stateful", "zero_output_for_mask")
"""Arguments that are true or false."""

_ACTIVATIONS = ("activation", "recurrent_activation")

_HARD_SIGMOIDS = {"hard_sigmoid_keras2": "its own function", "hard_sigmoid_keras3": "hard_sigmoid"}
"""Names that say which hard_sigmoid is meant; without one it is Keras 3's."""

_TRAINING_ONLY = re.compile(
    r".*_(initializer|regularizer|constraint)|dropout|recurrent_dropout|seed|trainable|unit_forget_bias|unroll|"
    r"implementation"
)
"""Arguments that make no difference to what a layer with weights computes."""

_NAME = re.compile(r"(?:(\d{1,3})\.)?(kernel|recurrent_kernel|bias)")

_EXAMPLE = "np.savez('lstm.npz', kernel=..., recurrent_kernel=..., bias=...)"


@dataclass(frozen=True, eq=False)
class LstmWeights:
    """One layer of the file.

    Attributes:
        kernel: float32 (input_size, 4 units), gates in the order i, f, c, o.
        recurrent_kernel: float32 (units, 4 units).
        bias: float32 (4 units), or None.
        arguments: of keras.layers.LSTM, beside its units and use_bias.
        shape: (sequences, steps) that the layer's configuration fixes, None where it does not.
    """

    kernel: Float32Array
    recurrent_kernel: Float32Array
    bias: Float32Array | None
    arguments: Mapping[str, Any]
    shape: tuple[int | None, int | None]

    @property
    def units(self) -> int:
        """Units of the layer."""
        return int(self.recurrent_kernel.shape[0])


def read_npz_model(content: bytes) -> tuple[list[LstmWeights], list[str]]:
    """The layers of a file, in their order, and what was done to its values.

    Raises:
        ValueError: the bytes are no .npz file.
        ModelRefused: an array is missing, unknown, or of another shape or type.
    """
    arrays = read_arrays(io.BytesIO(content), MAX_WEIGHT_BYTES)
    config = arrays.pop("config", None)
    notes: list[str] = []
    by_layer = _by_layer(arrays)
    arguments = _arguments(config, len(by_layer))
    layers = [_layer(prefix, given, arguments[index], notes) for index, (prefix, given) in enumerate(by_layer.items())]
    for index, (before, layer) in enumerate(pairwise(layers), start=1):
        if layer.kernel.shape[0] != before.units:
            raise _bad_shape(f"{index}.kernel", layer.kernel, (before.units, 4 * layer.units))
    names = [layer.arguments["name"] for layer in layers]
    if len(set(names)) < len(names):
        raise _bad_config(f"names several layers '{names[0]}'", "Give each layer a name of its own.")
    return layers, notes


def build_npz_model(keras: KerasApi, layers: list[LstmWeights]) -> Any:
    """The Keras model of these layers. Its input is named "x"."""
    first = layers[0]
    value = model_input = keras.module.Input(batch_shape=(*first.shape, first.kernel.shape[0]), name="x")
    for weights in layers:
        arguments = dict(weights.arguments)
        for option in _ACTIVATIONS:
            if arguments.get(option) in _HARD_SIGMOIDS:
                is_keras_2 = arguments[option] == "hard_sigmoid_keras2"
                arguments[option] = hard_sigmoid_keras2() if is_keras_2 else "hard_sigmoid"
        layer = keras.layers.LSTM(weights.units, use_bias=weights.bias is not None, **arguments)
        value = layer(value[0] if isinstance(value, (list, tuple)) else value)
        given = (weights.kernel, weights.recurrent_kernel, weights.bias)
        layer.set_weights([array for array in given if array is not None])
    return keras.module.Model(model_input, value, name="weights")


def _by_layer(arrays: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, NDArray[Any]]]:
    """The arrays of each layer, by its prefix: "" for the only one, "0.", "1.", ... for several."""
    found: dict[str, dict[str, NDArray[Any]]] = {}
    for name, array in arrays.items():
        match = _NAME.fullmatch(name)
        if match is None:
            raise ModelRefused(
                f"The file holds '{name}', which is no array of an LSTM.",
                code="weights_unknown",
                remedy=f"Store {_EXAMPLE}; of several layers 0.kernel, 0.recurrent_kernel, 0.bias, 1.kernel, ...",
            )
        prefix = "" if match[1] is None else f"{int(match[1])}."
        found.setdefault(prefix, {})[match[2]] = array
    prefixes = [""] if "" in found or not found else [f"{index}." for index in range(len(found))]
    if set(prefixes) != set(found) or len(found) > MAX_NODES:
        listed = ", ".join(f"'{name}'" for name in arrays) or "no arrays"
        raise ModelRefused(
            f"The file holds {listed}: that is neither one layer nor 1 to {MAX_NODES} layers counted from 0.",
            code="weights_missing",
            remedy=f"Store {_EXAMPLE}; of several layers 0.kernel, 0.recurrent_kernel, 0.bias, 1.kernel, ...",
        )
    return {prefix: found[prefix] for prefix in prefixes}


def _layer(prefix: str, given: Mapping[str, NDArray[Any]], arguments: dict[str, Any], notes: list[str]) -> LstmWeights:
    for name in ("kernel", "recurrent_kernel"):
        if name not in given:
            raise ModelRefused(
                f"The file has no array '{prefix}{name}'.", code="weights_missing", remedy=f"Store {_EXAMPLE}."
            )
    kernel, recurrent = (_float32(f"{prefix}{name}", given[name], notes) for name in ("kernel", "recurrent_kernel"))
    units = recurrent.shape[0] if recurrent.ndim == 2 else 0
    if not 1 <= units <= MAX_UNITS or recurrent.shape != (units, 4 * units):
        raise _bad_shape(f"{prefix}recurrent_kernel", recurrent, ("units", "4 units"))
    if kernel.ndim != 2 or kernel.shape[1] != 4 * units or not 1 <= kernel.shape[0] <= MAX_UNITS:
        raise _bad_shape(f"{prefix}kernel", kernel, ("input_size", 4 * units))
    bias = None if "bias" not in given else _float32(f"{prefix}bias", given["bias"], notes)
    if bias is not None and bias.shape != (4 * units,):
        raise _bad_shape(f"{prefix}bias", bias, (4 * units,))
    for name, value in (("units", units), ("use_bias", bias is not None)):
        if arguments.pop(name, value) != value:
            raise _bad_config(f"says {name} otherwise than the arrays, which have {name}={value}", "Leave it out.")
    shape = arguments.pop("shape", [None, None, None])
    if shape[2] not in (None, kernel.shape[0]):
        raise _bad_config(f"fixes {shape[2]} features, and '{prefix}kernel' has {kernel.shape[0]}", "Leave it out.")
    return LstmWeights(kernel, recurrent, bias, arguments, (shape[0], shape[1]))


def _arguments(config: NDArray[Any] | None, count: int) -> list[dict[str, Any]]:
    """Arguments of each layer, with defaults filled in."""
    given = _parsed(config, count)
    listed = []
    for index, arguments in enumerate(given):
        defaults: dict[str, Any] = {"name": "lstm" if count == 1 else f"lstm_{index}"}
        if index < count - 1:
            defaults["return_sequences"] = True
        known: dict[str, Any] = {}
        for name, value in arguments.items():
            _take_argument(known, name, value)
        if index:
            known.pop("shape", None)  # the model's input is the first layer's
        listed.append({**defaults, **known})
    return listed


def _parsed(config: NDArray[Any] | None, count: int) -> list[dict[str, Any]]:
    if config is None:
        return [{}] * count
    if config.dtype.kind not in "US" or config.size != 1:
        raise _bad_config(f"is {config.dtype} {config.shape}, not one text", "Store config=json.dumps({...}).")
    text = config.item()
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _bad_config(f"is no JSON: {error}", "Store config=json.dumps({...}).") from None
    if isinstance(given, dict):
        return [given] * count
    if isinstance(given, list) and len(given) == count and all(isinstance(each, dict) for each in given):
        return given
    raise _bad_config(
        f"is neither an object nor a list of {count} objects",
        "Store a JSON object for all layers, or a list of one object for each.",
    )


def _take_argument(known: dict[str, Any], name: str, value: Any) -> None:
    """Put one argument into `known` as it is given to Keras, unless it makes no difference."""
    if name in ("batch_shape", "batch_input_shape"):
        if not isinstance(value, list) or len(value) != 3 or not all(size is None or _is_size(size) for size in value):
            raise _bad_config(f"has {name}={value}", "Give [sequences, steps, features], null where it is open.")
        known["shape"] = value
    elif name == "dtype":
        if (value.get("config", {}).get("name") if isinstance(value, dict) else value) != "float32":
            raise _bad_config(f"has the dtype {value}", "The device computes in float32.")
    elif name == "time_major":
        if value is not False:
            raise _bad_config("has time_major=true", "Leave it out: the first axis of the inputs is the sequence.")
    elif _TRAINING_ONLY.fullmatch(name) is None:
        kinds: dict[str, Any] = {"units": int, "use_bias": bool, "name": str, **dict.fromkeys(_OPTIONS, bool)}
        kinds |= dict.fromkeys(_ACTIVATIONS, (str, type(None)))
        if name not in kinds:
            raise _bad_config(f"has '{name}', which no LSTM has", "Leave it out.")
        if not isinstance(value, kinds[name]) or value == "":
            raise _bad_config(f"has {name}={value!r}", "Give it as keras.layers.LSTM takes it, functions by name.")
        known[name] = value


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and 1 <= value <= MAX_UNITS


def _float32(name: str, array: NDArray[Any], notes: list[str]) -> Float32Array:
    try:
        converted = as_float32(array)
    except TypeError:
        raise ModelRefused(
            f"'{name}' is {array.dtype}, not float32.",
            code="weights_dtype",
            remedy="Store real numbers: array.astype(np.float32).",
        ) from None
    except OverflowError:
        raise ModelRefused(
            f"'{name}' has {array.dtype} values beyond the range of float32.",
            code="weights_range",
            remedy="Keras' weights are float32: give those.",
        ) from None
    if array.dtype.newbyteorder("=") != np.float32:
        notes.append(f"'{name}' was {array.dtype} and is cast to float32")
    return converted


def _bad_shape(name: str, array: NDArray[Any], wanted: tuple[Any, ...]) -> ModelRefused:
    remedy = "Store it as layer.get_weights() gives it, gates in the order i, f, c, o."
    if array.ndim == 2 and name.endswith("kernel") and array.shape[0] == 4 * array.shape[1]:
        remedy = "It looks transposed: store it as array.T, gates in the order i, f, c, o."
    if name.endswith("bias") and array.size == 2 * wanted[0]:
        remedy = "Two biases, as cuDNN has them: an LSTM of Keras has one, the sum of both."
    shape = ", ".join(str(size) for size in wanted)
    return ModelRefused(
        f"'{name}' has the shape {array.shape}; expected ({shape}).", code="weights_shape", remedy=remedy
    )


def _bad_config(what: str, remedy: str) -> ModelRefused:
    return ModelRefused(f"The file's config {what}.", code="weights_config", remedy=remedy)
