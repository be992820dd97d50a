"""Keras layers -> the nodes of a ModelSpec. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.model.spec import ActivationNode, DenseNode, Float32Array, LstmNode, ModelSpec, Node
from harness.oracle.refusals import CONTAINERS, LAYERS, refused_layer, refused_option, refused_structure
from harness.oracle.runtime import hard_sigmoid_keras2, import_keras
from harness.protocol.wire import Activation, Phase

_GATE_ACTIVATIONS = frozenset(Activation) - {Activation.SOFTMAX}
"""What an LSTM may use. Softmax needs all values of a row, and no one puts it into a gate."""


def chain(keras_model: Any) -> list[Any]:
    """The layers that compute something, in the order in which they run; models inside the model are flattened.

    InputLayer and Dropout are left out: at inference they return what they are given.

    Raises:
        ModelRefused: not a chain from one input to one output, or a layer that this version does not run.
    """
    found: list[Any] = []
    for layer in _directly_inside(keras_model):
        class_name = _class_name(layer)
        if class_name in CONTAINERS:
            found.extend(chain(layer))
        elif class_name not in LAYERS:
            raise refused_layer(layer.name, class_name)
        elif class_name not in ("InputLayer", "Dropout"):
            found.append(layer)
    names = [layer.name for layer in found]
    for name in names:
        if names.count(name) > 1:
            raise refused_structure(f"Two steps of the model bear the name '{name}'; results are stored by it.")
    return found


def model_spec(keras_model: Any) -> ModelSpec:
    """A Keras model as the device would run it.

    Args:
        keras_model: a built Sequential or Functional model.

    Raises:
        ModelRefused: it holds something that this version does not run.
    """
    layers = chain(keras_model)
    input_layer, _ = _made_by(keras_model.inputs[0])
    steps, input_size = _input_shape(keras_model)
    nodes: list[Node] = []
    phase = Phase.EVERY_STEP
    for index, layer in enumerate(layers):
        node = _node(layer, None if index == 0 else index - 1, phase)
        nodes.append(node)
        if isinstance(node, LstmNode) and not node.return_sequences:
            phase = Phase.AFTER_LAST_STEP
    if not any(isinstance(node, LstmNode) for node in nodes):
        raise refused_structure(f"Model '{keras_model.name}' has no LSTM layer.")
    return ModelSpec(
        name=keras_model.name,
        input_name=input_layer.name,
        input_size=input_size,
        steps=steps,
        nodes=_with_sizes(nodes, input_size),
        outputs=(len(nodes) - 1,),
    )


def _directly_inside(model: Any) -> list[Any]:
    """The layers of one Sequential or Functional model, those of a Functional one by walking back from its output."""
    if _class_name(model) not in CONTAINERS:
        raise refused_structure(f"'{model.name}' is a {_class_name(model)}, not a Sequential or Functional model.")
    if not model.built or not getattr(model, "inputs", None):
        raise refused_structure(f"Model '{model.name}' was never built: it has no input shape and no weights.")
    for what, tensors in (("inputs", model.inputs), ("outputs", model.outputs)):
        if len(tensors) != 1:
            names = ", ".join(f"'{_made_by(tensor)[0].name}'" for tensor in tensors)
            raise refused_structure(
                f"Model '{model.name}' has {len(tensors)} {what} ({names}); this version runs one input, one output."
            )
    if _class_name(model) == "Sequential":
        return list(model.layers)
    layers: list[Any] = []
    tensor = model.outputs[0]
    while tensor is not None:
        layer, call = _made_by(tensor)
        layers.append(layer)
        tensor = _only_source(layer, call)
    return layers[::-1]


def _made_by(tensor: Any) -> tuple[Any, Any]:
    """The layer that gave a symbolic tensor, and the record of that call. Keras has no public way to walk a graph."""
    layer, node_index, _ = tensor._keras_history
    return layer, layer._inbound_nodes[node_index]


def _only_source(layer: Any, call: Any) -> Any:
    """The one tensor that a layer of a Functional model reads; None for the input layer."""
    if _class_name(layer) == "InputLayer":
        return None
    if _class_name(layer) not in LAYERS | CONTAINERS:
        raise refused_layer(layer.name, _class_name(layer))
    if len(call.input_tensors) != 1:
        raise refused_structure(f"Layer '{layer.name}' reads {len(call.input_tensors)} tensors; this version runs one.")
    beside_input = [*call.arguments.args[1:], *call.arguments.kwargs.values()]
    if any(value is not None and value is not False for value in beside_input):
        raise refused_option(layer.name, "more than its input in its call", "Call it without `training` and the like.")
    return call.input_tensors[0]


def _input_shape(model: Any) -> tuple[int | None, int]:
    """Steps, None where the model leaves them open, and features of the model's input."""
    tensor = model.inputs[0]
    shape = tuple(tensor.shape)
    if len(shape) != 3 or shape[2] is None or tensor.dtype != "float32" or _made_by(tensor)[0].sparse:
        raise refused_structure(
            f"The input of model '{model.name}' is {tensor.dtype}{list(shape)}; "
            "an LSTM needs float32 [batch, steps, features]."
        )
    return shape[1], int(shape[2])


def _node(layer: Any, source: int | None, phase: Phase) -> Node:
    """One layer as a node. The size of an ActivationNode is filled in by `_with_sizes`."""
    if layer.dtype_policy.name != "float32":
        raise refused_option(layer.name, f"the dtype {layer.dtype_policy.name}", "Make the model with dtype float32.")
    class_name = _class_name(layer)
    if class_name == "LSTM":
        return _lstm_node(layer, source, phase)
    if class_name == "Dense":
        return DenseNode(
            name=layer.name,
            source=source,
            phase=phase,
            kernel=_weights(layer.kernel),
            bias=_weights(layer.bias) if layer.use_bias else None,
            activation=_activation(layer, "activation", frozenset(Activation)),
        )
    if class_name == "Softmax":
        return ActivationNode(layer.name, source, phase, 0, _softmax(layer, phase))
    return ActivationNode(layer.name, source, phase, 0, _activation(layer, "activation", frozenset(Activation)))


def _lstm_node(layer: Any, source: int | None, phase: Phase) -> LstmNode:
    if phase is Phase.AFTER_LAST_STEP:
        raise refused_structure(
            f"LSTM '{layer.name}' reads a layer that gives only its last output; it needs return_sequences=True there."
        )
    remedies = {
        "return_state": "Save the model without it: h and c of the last step are compared anyway.",
        "go_backwards": "Reverse the steps in the inputs file, and save the layer with go_backwards=False.",
        "stateful": "Save it with stateful=False, and give initial states in the inputs file "
        f"as `{layer.name}.h0` and `{layer.name}.c0`.",
    }
    for option, remedy in remedies.items():
        if getattr(layer, option):
            raise refused_option(layer.name, f"{option}=True", remedy)
    cell = layer.cell
    return LstmNode(
        name=layer.name,
        source=source,
        phase=phase,
        kernel=_weights(cell.kernel),
        recurrent_kernel=_weights(cell.recurrent_kernel),
        bias=_weights(cell.bias) if cell.use_bias else None,
        activation=_activation(layer, "activation", _GATE_ACTIVATIONS),
        recurrent_activation=_activation(layer, "recurrent_activation", _GATE_ACTIVATIONS),
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        return_sequences=bool(layer.return_sequences),
    )


def _softmax(layer: Any, phase: Phase) -> Activation:
    """A Softmax layer takes the mask as its own, which an Activation("softmax") does not: only behind the last step."""
    if layer.axis != -1 or phase is Phase.EVERY_STEP:
        raise refused_option(
            layer.name, f"axis={layer.axis} at every step", "Use keras.layers.Activation('softmax') instead."
        )
    return Activation.SOFTMAX


def _activation(layer: Any, option: str, allowed: frozenset[Activation]) -> Activation:
    function = getattr(layer, option)
    of_keras = import_keras().activations
    known = {
        of_keras.linear: Activation.LINEAR,
        of_keras.tanh: Activation.TANH,
        of_keras.sigmoid: Activation.SIGMOID,
        of_keras.hard_sigmoid: Activation.HARD_SIGMOID,
        of_keras.softmax: Activation.SOFTMAX,
        hard_sigmoid_keras2(): Activation.HARD_SIGMOID_KERAS2,
    }
    activation = known.get(function)
    if activation is None or activation not in allowed:
        names = ", ".join(each.name.lower() for each in sorted(allowed))
        raise refused_option(layer.name, f"{option}={getattr(function, '__name__', function)}", f"Use one of {names}.")
    return activation


def _with_sizes(nodes: list[Node], input_size: int) -> tuple[Node, ...]:
    sized: list[Node] = []
    units = input_size
    for node in nodes:
        sized.append(replace(node, units=units) if isinstance(node, ActivationNode) else node)
        units = sized[-1].units
    return tuple(sized)


def _weights(variable: Any) -> Float32Array:
    array: Float32Array = np.asarray(variable.value).astype(np.float32)
    array.setflags(write=False)
    return array


def _class_name(layer: Any) -> str:
    """Name of a class of Keras' own; of any other class with its module, so that it matches no supported name."""
    kind = type(layer)
    return kind.__name__ if kind.__module__.split(".")[0] == "keras" else f"{kind.__module__}.{kind.__qualname__}"
