"""Keras layers that compute nothing, or hardly anything: they cut, repeat, join. What is no such thing is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

from harness.oracle.calls import class_name
from harness.oracle.network import Network, Tensor
from harness.oracle.refusals import refused_option, refused_structure
from harness.protocol.wire import Operation

MERGE_MODES = {
    "concat": Operation.CONCATENATE,
    "sum": Operation.ADD,
    "mul": Operation.MULTIPLY,
    "ave": Operation.AVERAGE,
}
"""What a Bidirectional does with its two outputs, by `merge_mode`."""


def check_merge(layer: Any, tensors: Sequence[Tensor]) -> Sequence[Tensor]:
    """The tensors that a merge layer reads.

    Raises:
        ModelRefused: it joins steps instead of features, or the tensors differ in more than it can join.
    """
    first = tensors[0]
    joins = class_name(layer) == "Concatenate"
    last_axis = 2 if first.is_sequence else 1
    if joins and layer.axis not in (-1, last_axis):
        raise refused_option(layer.name, f"axis={layer.axis}", "Join features (axis=-1), not steps or sequences.")
    for tensor in tensors[1:]:
        fits = (tensor.is_sequence, tensor.steps) == (first.is_sequence, first.steps)
        if not fits or (tensor.size != first.size and not joins):
            raise refused_structure(
                f"Layer '{layer.name}' reads {_shape_text(first)} and {_shape_text(tensor)}.",
                "Let it read tensors of one shape; a Concatenate may join any features of equally many steps.",
            )
    return tensors


def _repeat_vector(network: Network, layer: Any, tensor: Tensor) -> Tensor:
    return network.repeated(tensor, int(layer.n), layer.name)


def _flatten(network: Network, layer: Any, tensor: Tensor) -> Tensor:
    if getattr(layer, "data_format", "channels_last") == "channels_first" and tensor.is_sequence:
        raise refused_option(layer.name, "data_format='channels_first'", "Flatten with channels_last, the default.")
    return network.recut(tensor, _total(layer, tensor), layer.name, is_sequence=False)


def _reshape(network: Network, layer: Any, tensor: Tensor) -> Tensor:
    target = [int(size) for size in layer.target_shape]
    if tensor.is_sequence and target in ([-1, tensor.size], [tensor.steps, tensor.size], [tensor.steps, -1]):
        return tensor
    total = _total(layer, tensor)
    if len(target) not in (1, 2):
        raise refused_option(layer.name, f"target_shape={tuple(target)}", "Reshape to (values,) or (steps, features).")
    if -1 in target:
        target[target.index(-1)] = total // -prod(target)
    return network.recut(tensor, target[-1], layer.name, is_sequence=len(target) == 2)


def _total(layer: Any, tensor: Tensor) -> int:
    """How many values a tensor has."""
    if tensor.total is None:
        raise refused_structure(
            f"Layer '{layer.name}' is a {class_name(layer)}, and the model leaves the number of steps open.",
            "Fix the steps in the Input of the model: keras.Input((steps, features)).",
        )
    return tensor.total


def _shape_text(tensor: Tensor) -> str:
    return f"({tensor.steps}, {tensor.size})" if tensor.is_sequence else f"({tensor.size})"


RESHAPES: dict[str, Callable[[Network, Any, Tensor], Tensor]] = {
    "RepeatVector": _repeat_vector,
    "Flatten": _flatten,
    "Reshape": _reshape,
}
"""Layers that only read anew what there is, by their Keras class names."""
