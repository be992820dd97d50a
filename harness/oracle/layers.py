"""One Keras layer -> one node of a ModelSpec. What the device cannot run is refused by layer and option."""

from __future__ import annotations

from typing import Any

import numpy as np

from harness.model.array_types import Float32Array
from harness.model.nodes import ActivationNode, DenseNode, LstmNode, Node, PoolNode, ScaleNode, Source
from harness.oracle.activation_choice import of_layer, of_option
from harness.oracle.calls import class_name
from harness.oracle.network import Tensor, short
from harness.oracle.refusals import refused_option
from harness.protocol.wire import Operation, Phase


def plain_node(layer: Any, tensor: Tensor) -> Node:
    """A Keras layer that computes something of the values of one step, or of a vector.

    Raises:
        ModelRefused: one of its options, or the layer inside TimeDistributed, is not run.
    """
    inner, name = layer, layer.name
    while class_name(inner) == "TimeDistributed":
        inner = inner.layer
        if class_name(inner) not in ("TimeDistributed", "Dense", "Activation", "BatchNormalization"):
            raise refused_option(
                name, f"a {class_name(inner)} in it", "Let it wrap a Dense, an Activation or a BatchNormalization."
            )
    source, phase = short(tensor.source), tensor.phase
    if class_name(inner) == "BatchNormalization":
        return _scale_node(inner, name, tensor)
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


POOLS = {"GlobalAveragePooling1D": Operation.AVERAGE, "GlobalMaxPooling1D": Operation.MAXIMUM}
"""Layers that make one vector of all steps, by their Keras class names."""


def pool_node(layer: Any, tensor: Tensor, *, masked: bool) -> PoolNode:
    """A Keras layer that makes one vector of all steps.

    Raises:
        ModelRefused: it pools something else.
    """
    if not tensor.is_sequence or layer.data_format != "channels_last" or layer.keepdims:
        raise refused_option(layer.name, "other axes than the steps of a sequence", "Pool (batch, steps, features).")
    operation = POOLS[class_name(layer)]
    # The maximum takes masked steps for any others.
    masked = masked and operation is Operation.AVERAGE
    return PoolNode(layer.name, short(tensor.source), tensor.size, operation, masked)


def _scale_node(layer: Any, name: str, tensor: Tensor) -> ScaleNode:
    """BatchNormalization at inference, in the form and rounding of keras/src/backend/tensorflow/nn.py."""
    axes = layer.axis if isinstance(layer.axis, (list, tuple)) else [layer.axis]
    if list(axes) not in ([-1], [2 if tensor.is_sequence else 1]):
        raise refused_option(layer.name, f"axis={layer.axis}", "Normalize features (axis=-1).")
    variance, mean = _weights(layer.moving_variance), _weights(layer.moving_mean)
    scale = 1 / np.sqrt(variance + np.float32(layer.epsilon))
    if layer.scale:
        scale = scale * _weights(layer.gamma)
    offset = -mean * scale
    if layer.center:
        offset = offset + _weights(layer.beta)
    return ScaleNode(name, short(tensor.source), tensor.phase, scale, offset)


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
