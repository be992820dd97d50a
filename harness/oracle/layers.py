"""Keras layers -> the nodes of a ModelSpec. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from harness.model.spec import ActivationNode, DenseNode, Float32Array, LstmNode, ModelSpec, Node
from harness.oracle.calls import class_name
from harness.oracle.graph import Link, chain, graph_inputs
from harness.oracle.refusals import refused_option, refused_structure
from harness.oracle.runtime import KERAS_3, KerasApi, api_of, hard_sigmoid_keras2
from harness.protocol.wire import Activation, Phase


def model_spec(keras_model: Any) -> ModelSpec:
    """A Keras model as the device would run it.

    Args:
        keras_model: a built Sequential or Functional model.

    Raises:
        ModelRefused: it holds something that this version does not run.
    """
    links = chain(keras_model)
    inputs = graph_inputs(keras_model)
    nodes: list[Node] = []
    phase = Phase.EVERY_STEP
    for index, link in enumerate(links):
        node = _node(link, None if index == 0 else index - 1, phase)
        nodes.append(node)
        if isinstance(node, LstmNode) and not node.return_sequences:
            phase = Phase.AFTER_LAST_STEP
    if not any(isinstance(node, LstmNode) for node in nodes):
        raise refused_structure(f"Model '{keras_model.name}' has no LSTM layer.")
    if not any(isinstance(node, LstmNode) and node.masked for node in nodes):
        raise refused_structure(
            f"Input '{inputs.mask_name}' of model '{keras_model.name}' is bool, and no LSTM has it as its `mask=`."
        )
    return ModelSpec(
        name=keras_model.name,
        input_name=inputs.name,
        input_size=inputs.size,
        steps=inputs.steps,
        nodes=_with_sizes(nodes, inputs.size),
        outputs=(len(nodes) - 1,),
        mask_input=inputs.mask_name,
    )


def _node(link: Link, source: int | None, phase: Phase) -> Node:
    """One layer as a node. The size of an ActivationNode is filled in by `_with_sizes`."""
    layer = link.layer
    if layer.dtype_policy.name != "float32":
        raise refused_option(layer.name, f"the dtype {layer.dtype_policy.name}", "Make the model with dtype float32.")
    kind = class_name(layer)
    if kind == "LSTM":
        return _lstm_node(link, source, phase)
    if kind == "Dense":
        return DenseNode(
            name=layer.name,
            source=source,
            phase=phase,
            kernel=_weights(layer.kernel),
            bias=_weights(layer.bias) if layer.use_bias else None,
            activation=_activation(layer, "activation"),
        )
    if kind == "Softmax":
        return ActivationNode(layer.name, source, phase, 0, _softmax(layer, phase))
    return ActivationNode(layer.name, source, phase, 0, _activation(layer, "activation"))


def _lstm_node(link: Link, source: int | None, phase: Phase) -> LstmNode:
    layer = link.layer
    if phase is Phase.AFTER_LAST_STEP:
        raise refused_structure(
            f"LSTM '{layer.name}' reads a layer that gives only its last output; it needs return_sequences=True there."
        )
    remedies = {
        "return_state": "Save the model without it: h and c of the last step are compared anyway.",
        "go_backwards": "Reverse the steps in the inputs file, and save the layer with go_backwards=False.",
        "stateful": "Save it with stateful=False, and give initial states in the inputs file "
        f"as `{layer.name}.h0` and `{layer.name}.c0`.",
        "time_major": "Save it with time_major=False: inputs are sequence by sequence, step by step.",
    }
    for option, remedy in remedies.items():
        if getattr(layer, option, False):
            raise refused_option(layer.name, f"{option}=True", remedy)
    cell = layer.cell
    return LstmNode(
        name=layer.name,
        source=source,
        phase=phase,
        kernel=_weights(cell.kernel),
        recurrent_kernel=_weights(cell.recurrent_kernel),
        bias=_weights(cell.bias) if cell.use_bias else None,
        activation=_activation(layer, "activation"),
        recurrent_activation=_activation(layer, "recurrent_activation"),
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        return_sequences=bool(layer.return_sequences),
        masked=link.masked,
    )


def _softmax(layer: Any, phase: Phase) -> Activation:
    """A Softmax layer takes the mask as its own, which an Activation("softmax") does not: only behind the last step."""
    if layer.axis != -1 or phase is Phase.EVERY_STEP:
        raise refused_option(
            layer.name, f"axis={layer.axis} at every step", "Use keras.layers.Activation('softmax') instead."
        )
    return Activation.SOFTMAX


def _activation(layer: Any, option: str) -> Activation:
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


def _with_sizes(nodes: list[Node], input_size: int) -> tuple[Node, ...]:
    sized: list[Node] = []
    units = input_size
    for node in nodes:
        sized.append(replace(node, units=units) if isinstance(node, ActivationNode) else node)
        units = sized[-1].units
    return tuple(sized)


def _weights(variable: Any) -> Float32Array:
    array: Float32Array = np.array(variable.numpy(), dtype=np.float32)
    array.setflags(write=False)
    return array
