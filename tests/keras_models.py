"""A ModelSpec as a Keras model and as a .keras file, for tests of the way back. Imports Keras when called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.model.nodes import DenseNode, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.runtime import HARD_SIGMOIDS, KERAS_3, hard_sigmoid_keras2, import_keras, quiet
from harness.protocol.wire import Activation


def keras_model(spec: ModelSpec, package: str = KERAS_3) -> Any:
    """A Sequential model, or a Functional one where there is a mask input, with the spec's names, options, weights."""
    keras = import_keras(package)
    layers: list[Any] = [keras.Input((spec.steps, spec.input_size), name=spec.input_name)]
    for node in spec.nodes:
        if isinstance(node, LstmNode):
            layer = keras.layers.LSTM(
                node.units,
                name=node.name,
                activation=_activation(node.activation, package),
                recurrent_activation=_activation(node.recurrent_activation, package),
                use_bias=node.bias is not None,
                return_sequences=node.return_sequences,
                zero_output_for_mask=node.zero_output_for_mask,
            )
        elif isinstance(node, DenseNode):
            layer = keras.layers.Dense(
                node.units,
                name=node.name,
                activation=_activation(node.activation, package),
                use_bias=node.bias is not None,
            )
        else:
            layer = keras.layers.Activation(_activation(node.activation, package), name=node.name)
        layers.append(layer)
    model = keras.Sequential(layers, name=spec.name) if spec.mask_input is None else _with_mask(keras, spec, layers)
    for node in spec.nodes:
        if isinstance(node, LstmNode):
            weights = [node.kernel, node.recurrent_kernel, node.bias]
        elif isinstance(node, DenseNode):
            weights = [node.kernel, node.bias]
        else:
            continue
        model.get_layer(node.name).set_weights([array for array in weights if array is not None])
    return model


def _with_mask(keras: Any, spec: ModelSpec, layers: list[Any]) -> Any:
    """A Functional model whose mask input is given to the LSTMs that obey it."""
    x, *layers = layers
    mask = keras.Input((spec.steps,), dtype="bool", name=spec.mask_input)
    value = x
    for node, layer in zip(spec.nodes, layers, strict=True):
        is_given_mask = isinstance(node, LstmNode) and node.masked
        value = layer(value, mask=mask) if is_given_mask else layer(value)
    return keras.Model([x, mask], value, name=spec.name)


def save_spec(spec: ModelSpec, folder: Path, suffix: str = ".keras", package: str = KERAS_3) -> Path:
    """The spec as a file `<name><suffix>` in `folder`, written by one of the two Keras."""
    return save_model(keras_model(spec, package), folder, suffix)


def save_model(model: Any, folder: Path, suffix: str = ".keras") -> Path:
    """A Keras model as a file `<name><suffix>` in `folder`."""
    path = folder / f"{model.name}{suffix}"
    with quiet():
        model.save(path)
    return path


def _activation(activation: Activation, package: str) -> Any:
    if activation is HARD_SIGMOIDS[package]:
        return "hard_sigmoid"
    if activation is Activation.HARD_SIGMOID_KERAS2:
        return hard_sigmoid_keras2()
    return activation.name.lower()
