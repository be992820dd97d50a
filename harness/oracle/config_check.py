"""Checks a model's description, the JSON in its file, before Keras builds what it names.

Only what is known reaches Keras: containers and layers that this version runs, and the inert objects that they are
configured with. The rest is refused by name. It also holds sizes down, so that a few bytes cannot ask for much memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from harness.errors import ModelRefused
from harness.oracle.refusals import (
    CONTAINERS,
    LAYERS,
    MASK_OPERATIONS,
    NEVER,
    offering,
    refused_custom_code,
    refused_layer,
    refused_option,
)
from harness.oracle.runtime import HARD_SIGMOID_KERAS2

MAX_UNITS = 4096
"""Most units, features or sequences. An LSTM of 181 units fills the flash of the device."""

MAX_STEPS = 1 << 20
"""Most time steps that a model may fix."""

MAX_UNROLLED_STEPS = 1024
"""Most steps of a layer with unroll=True: Keras builds each of them when it loads the model."""

_PACKAGES = ("keras", "tf_keras")

_INERT_MODULES = ("initializers", "regularizers", "constraints", "dtype_policies", "mixed_precision")
"""Modules of Keras whose objects compute nothing at inference."""

_INERT = frozenset(
    {
        *("Zeros", "Ones", "Constant", "Identity", "Orthogonal", "VarianceScaling"),
        *("RandomUniform", "RandomNormal", "TruncatedNormal"),
        *("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"),
        *("L1", "L2", "L1L2", "OrthogonalRegularizer", "MaxNorm", "NonNeg", "UnitNorm", "MinMaxNorm"),
        *("DTypePolicy", "Policy", "TensorShape", "__tuple__", "__keras_tensor__"),
    }
)
"""Classes of such objects, for files that name no modules."""

_LITERALS = frozenset({"__tuple__", "__keras_tensor__"})
"""What stands for values, and is of no module."""

_OPERATION_LITERALS = frozenset({"__tensor__", "__numpy__", "__slice__", "__ellipsis__"})
"""More of them, in the calls of operations."""

_OPERATIONS = "keras.src.ops."
"""Where the operations are that a model of Keras 3 has as layers, as x[:, 0] and x * 2."""

_SHAPES = ("batch_shape", "batch_input_shape", "shape", "input_shape")


class _ConfigCheck:
    """Goes through the description of a model; raises ModelRefused.

    Args:
        names_modules: its format says of every class which module it is from: .keras does, HDF5 does not.
        max_steps: most time steps that it may fix.
        layers: names of the layers that it may have.
        any_layer: it may also have operations.
    """

    def __init__(self, *, names_modules: bool, max_steps: int, layers: frozenset[str], any_layer: bool) -> None:
        self._names_modules = names_modules
        self._max_steps = max_steps
        self._layers = layers
        self._any_layer = any_layer
        self._literals = _LITERALS | _OPERATION_LITERALS if any_layer else _LITERALS
        self.lstm_weights = 0
        """Elements that the recurrent kernels of all LSTMs have together."""

    def container(self, container: dict[str, Any]) -> None:
        """A Sequential or Functional model's description, and the models inside it."""
        class_name, config = str(container.get("class_name")), container.get("config")
        name = _name(container)
        is_model = class_name in CONTAINERS or (class_name == "Model" and not self._names_modules)
        if self._is_custom(container) or not is_model:
            raise refused_custom_code(name, f"the class {container.get('registered_name') or class_name}")
        if isinstance(config, list):  # Keras before 2.2.3 describes a Sequential so
            config = {"layers": config}
        if not isinstance(config, dict):
            return
        layers = config.get("layers")
        for layer in layers if isinstance(layers, list) else []:
            if isinstance(layer, dict):
                self._layer(layer)
        self._parts(name, [value for key, value in config.items() if key != "layers"])

    def _layer(self, layer: dict[str, Any]) -> None:
        class_name = str(layer.get("class_name"))
        if class_name in CONTAINERS or (class_name == "Model" and not self._names_modules):
            self.container(layer)
            return
        name = _name(layer)
        if self._is_custom(layer):
            raise refused_custom_code(name, f"the class {layer.get('registered_name') or class_name}")
        if class_name not in self._layers | MASK_OPERATIONS and not self._is_operation(layer):
            raise refused_layer(name, class_name)
        config = layer.get("config")
        if isinstance(config, dict):
            self._sizes(name, class_name, config)
        self._parts(name, [value for key, value in layer.items() if key not in ("class_name", "registered_name")])

    def _parts(self, name: str, parts: Any) -> None:
        """Every object that is described inside a layer's or a container's description."""
        for part in self._descriptions(parts):
            class_name = str(part.get("class_name"))
            if class_name == "function":
                if part.get("config") != HARD_SIGMOID_KERAS2:
                    raise refused_custom_code(name, f"the function {part.get('config')}")
            elif self._is_custom(part) or class_name == "__lambda__":
                raise refused_custom_code(name, f"the class {part.get('registered_name') or class_name}")
            elif class_name in self._layers | CONTAINERS:
                self._layer(part)
            elif class_name not in _INERT | self._literals and not _is_inert(part):
                raise refused_option(name, f"a {class_name} in its configuration", "Save the layer without it.")

    def _is_custom(self, description: dict[str, Any]) -> bool:
        """Whether a serialized object names a class that is not Keras' own."""
        module, registered = description.get("module"), description.get("registered_name")
        if module is None:
            is_known = not self._names_modules or description.get("class_name") in self._literals
            return not is_known or registered not in (None, description.get("class_name"))
        return str(module).split(".")[0] not in _PACKAGES

    def _is_operation(self, description: dict[str, Any]) -> bool:
        return self._any_layer and str(description.get("module")).startswith(_OPERATIONS)

    def _descriptions(self, value: Any) -> Iterator[dict[str, Any]]:
        """The outermost serialized objects inside a value, and those inside objects that are no layers."""
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
                if value["class_name"] in self._layers | CONTAINERS:
                    return  # gone through as a layer
            for part in value.values():
                yield from self._descriptions(part)
        elif isinstance(value, list):
            for part in value:
                yield from self._descriptions(part)

    def _sizes(self, name: str, class_name: str, config: dict[str, Any]) -> None:
        units = config.get("units", 0)
        if isinstance(units, (int, float)) and units > MAX_UNITS:
            raise refused_option(name, f"units={units}", "The device holds 0.5 MB of weights.")
        if class_name == "LSTM" and isinstance(units, int):
            self.lstm_weights += 4 * units * units
        if isinstance(config.get("vocabulary"), str):
            raise refused_option(name, "a vocabulary that is the name of a file", "Save the layer with its words.")
        for key in _SHAPES:
            shape = _sequence(config.get(key))
            for axis, size in enumerate(shape):
                largest = self._max_steps if 0 < axis < len(shape) - 1 else MAX_UNITS
                if isinstance(size, (int, float)) and size > largest:
                    raise refused_option(name, f"{key}={shape}", f"{size} is more than {largest}.")


def check_config(
    description: Any, *, names_modules: bool, elements: int, layers: frozenset[str] = LAYERS, any_layer: bool = False
) -> None:
    """Checks the whole description of a model.

    Args:
        description: what the file's JSON says.
        names_modules: its format says of every class which module it is from: .keras does, HDF5 does not.
        elements: how many numbers the file's arrays have together.
        layers: names of the layers that it may have.
        any_layer: it may also have operations.

    Raises:
        ModelRefused: it names something that is not run, or needs more weights than the file has.
        ValueError: it describes no model.
    """
    kinds = dict if names_modules else (dict, list)
    if not isinstance(description, dict) or not isinstance(description.get("config"), kinds):
        raise ValueError("its configuration describes no model")
    try:
        max_steps = MAX_UNROLLED_STEPS if _has_unrolled(description) else MAX_STEPS
        check = _ConfigCheck(names_modules=names_modules, max_steps=max_steps, layers=layers, any_layer=any_layer)
        check.container(description)
    except ModelRefused as refused:
        raise offering(refused, [] if any_layer else lstm_names(description)) from None
    except RecursionError:
        raise ValueError("its configuration is nested too deep") from None
    if check.lstm_weights > elements:
        raise ValueError(f"its LSTMs need more than {check.lstm_weights} weights, and it has {elements}")


def lstm_names(description: Any) -> list[str]:
    """Names by which the LSTMs of a description can be chosen; none where it has something that is never loaded.

    What is called more than once cannot be chosen: see `one_layer.capture`.
    """
    parts = list(_layers_inside(description))
    if any(part.get("class_name") in NEVER for part, _ in parts):
        return []
    names = []
    for part in (part for part, is_called_once in parts if is_called_once):
        config = part.get("config")
        inner = config.get("layer") if isinstance(config, dict) else None
        if part.get("class_name") == "LSTM":
            names.append(_name(part))
        elif part.get("class_name") == "Bidirectional" and isinstance(inner, dict):
            halves = ("forward", "backward") if inner.get("class_name") == "LSTM" else ()
            names += [f"{_name(part)}.{half}" for half in halves]
    return names


def _layers_inside(description: Any, is_called_once: bool = True) -> Iterator[tuple[dict[str, Any], bool]]:
    """The layers of a model's description and of the models inside it, each with whether it is called once."""
    config = description.get("config") if isinstance(description, dict) else None
    layers = config.get("layers") if isinstance(config, dict) else config
    for layer in layers if isinstance(layers, list) else []:
        if isinstance(layer, dict):
            calls = layer.get("inbound_nodes")  # none in a Sequential
            is_once = is_called_once and not (isinstance(calls, list) and len(calls) > 1)
            yield layer, is_once
            yield from _layers_inside(layer, is_once) if layer.get("class_name") in (*CONTAINERS, "Model") else ()


def _name(description: dict[str, Any]) -> str:
    config = description.get("config")
    name = config.get("name") if isinstance(config, dict) else None
    return str(name or description.get("class_name"))


def _has_unrolled(config: Any) -> bool:
    """Whether any layer of a description unrolls its steps."""
    if isinstance(config, dict):
        return bool(config.get("unroll")) or any(_has_unrolled(value) for value in config.values())
    return isinstance(config, list) and any(_has_unrolled(value) for value in config)


def _is_inert(part: dict[str, Any]) -> bool:
    return any(word in str(part.get("module")).split(".") for word in _INERT_MODULES)


def _sequence(shape: Any) -> list[Any]:
    """A shape as a list; old files wrap it: {"class_name": "__tuple__", "items": [...]}."""
    if isinstance(shape, dict):
        shape = shape.get("items")
    return shape if isinstance(shape, list) else []
