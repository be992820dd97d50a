"""One Keras layer -> one node of a ModelSpec. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.model.spec import ActivationNode, DenseNode, Float32Array, LstmNode, Node, Source
from harness.oracle.activation_choice import of_layer, of_option
from harness.oracle.calls import class_name
from harness.oracle.network import Tensor, short
from harness.oracle.refusals import refused_option
from harness.protocol.wire import Phase


def plain_node(layer: Any, tensor: Tensor) -> Node:
    """A Keras layer that computes something of the values of one step, or of a vector.

    Raises:
        ModelRefused: one of its options, or the layer inside TimeDistributed, is not run.
    """
    inner, name = layer, layer.name
    while class_name(inner) == "TimeDistributed":
        inner = inner.layer
        if class_name(inner) not in ("TimeDistributed", "Dense", "Activation"):
            raise refused_option(name, f"a {class_name(inner)} in it", "Let it wrap a Dense or an Activation.")
    source, phase = short(tensor.source), tensor.phase
    if class_name(inner) == "Dense":
        return DenseNode(
            name=name,
            source=source,
            phase=phase,
            kernel=_weights(inner.kernel),
            bias=_weights(inner.bias) if inner.use_bias else None,
            activation=of_option(inner, "activation"),
        )
    return ActivationNode(name, source, phase, tensor.size, of_layer(inner, phase))


def check_dtype(layer: Any) -> None:
    """Refuses a layer that computes in anything but float32."""
    if layer.dtype_policy.name != "float32":
        raise refused_option(layer.name, f"the dtype {layer.dtype_policy.name}", "Make the model with dtype float32.")


def lstm_node(layer: Any, name: str) -> LstmNode:
    """A Keras LSTM as a node that reads the model's input, in the direction in which the layer goes.

    Raises:
        ModelRefused: one of its options is not run.
    """
    remedies = {
        "time_major": "Save it with time_major=False: inputs are sequence by sequence, step by step.",
    }
    for option, remedy in remedies.items():
        if getattr(layer, option, False):
            raise refused_option(layer.name, f"{option}=True", remedy)
    cell = layer.cell
    return LstmNode(
        name=name,
        source=Source(reverse=True) if layer.go_backwards else None,
        phase=Phase.EVERY_STEP,
        kernel=_weights(cell.kernel),
        recurrent_kernel=_weights(cell.recurrent_kernel),
        bias=_weights(cell.bias) if cell.use_bias else None,
        activation=of_option(layer, "activation"),
        recurrent_activation=of_option(layer, "recurrent_activation"),
        zero_output_for_mask=bool(layer.zero_output_for_mask),
        return_sequences=bool(layer.return_sequences),
        stateful=bool(layer.stateful),
    )


def _weights(variable: Any) -> Float32Array:
    array: Float32Array = np.array(variable.numpy(), dtype=np.float32)
    array.setflags(write=False)
    return array
