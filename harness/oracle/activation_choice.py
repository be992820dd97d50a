"""Keras' activation functions and activation layers -> the activations of the engine."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.oracle.calls import class_name
from harness.oracle.refusals import refused_option
from harness.oracle.runtime import KERAS_3, KerasApi, api_of, hard_sigmoid_keras2
from harness.protocol.wire import Activation, Phase

_LAYERS: dict[str, tuple[tuple[dict[str, float | None], Activation], ...]] = {
    "ReLU": (
        ({"negative_slope": 0, "max_value": None, "threshold": 0}, Activation.RELU),
        ({"negative_slope": 0, "max_value": 6, "threshold": 0}, Activation.RELU6),
        ({"negative_slope": 0.2, "max_value": None, "threshold": 0}, Activation.LEAKY_RELU),
    ),
    "LeakyReLU": (({"negative_slope": 0.2}, Activation.LEAKY_RELU), ({"alpha": 0.2}, Activation.LEAKY_RELU)),
    "ELU": (({"alpha": 1}, Activation.ELU),),
}
"""Layers with arguments of their own, and which of these the engine has. In Keras 2 the slope is called alpha."""


def of_layer(layer: Any, phase: Phase) -> Activation:
    """What an Activation layer computes, or one that is named for its function.

    Args:
        layer: an Activation, ReLU, LeakyReLU, ELU or Softmax.
        phase: when it runs.

    Raises:
        ModelRefused: the engine does not have it, or not with these arguments.
    """
    kind = class_name(layer)
    if kind == "Softmax":
        return _softmax(layer, phase)
    if kind not in _LAYERS:
        return of_option(layer, "activation")
    has = layer.get_config()
    for arguments, activation in _LAYERS[kind]:
        if arguments.keys() <= has.keys() and all(_same(has[name], value) for name, value in arguments.items()):
            return activation
    names = sorted({name for arguments, _ in _LAYERS[kind] for name in arguments if name in has})
    runs = "; ".join(_spelled(arguments) for arguments, _ in _LAYERS[kind] if arguments.keys() <= has.keys())
    raise refused_option(layer.name, _spelled({name: has[name] for name in names}), f"Use one of: {runs}.")


def _same(value: Any, wanted: float | None) -> bool:
    """Whether an argument is this number; Keras 2 keeps them in float32."""
    if value is None or wanted is None:
        return value is wanted
    return bool(np.float32(value) == np.float32(wanted))


def _spelled(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value if value is None else f'{float(value):g}'}" for name, value in arguments.items())


def _softmax(layer: Any, phase: Phase) -> Activation:
    """A Softmax layer takes the mask as its own, which an Activation("softmax") does not: only behind the last step."""
    if layer.axis != -1 or phase is Phase.EVERY_STEP:
        raise refused_option(
            layer.name, f"axis={layer.axis} at every step", "Use keras.layers.Activation('softmax') instead."
        )
    return Activation.SOFTMAX


def of_option(layer: Any, option: str) -> Activation:
    """What an option of a layer names, e.g. "activation" of a Dense.

    Raises:
        ModelRefused: the engine does not have it.
    """
    function = getattr(layer, option)
    known = _known_activations(api_of(layer))
    if function not in known:
        names = ", ".join(sorted({each.name.lower() for each in known.values()}))
        raise refused_option(layer.name, f"{option}={getattr(function, '__name__', function)}", f"Use one of {names}.")
    return known[function]


def _known_activations(keras: KerasApi) -> dict[Any, Activation]:
    """Keras' functions, as far as this version of it has them."""
    by_name = {activation.name.lower(): activation for activation in Activation}
    aliases = {"celu": Activation.ELU, "swish": Activation.SILU, "hard_sigmoid": keras.hard_sigmoid}
    named = {**by_name, **aliases}.items()
    known = {
        getattr(keras.activations, name): activation for name, activation in named if hasattr(keras.activations, name)
    }
    if keras.name == KERAS_3:
        known[hard_sigmoid_keras2()] = Activation.HARD_SIGMOID_KERAS2
    return known
