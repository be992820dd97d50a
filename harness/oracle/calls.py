"""The calls that a model's graph consists of, as either Keras records them.

Neither has a public way to walk a graph: `_keras_history` and `_inbound_nodes` are what both have themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from harness.oracle.runtime import KERAS_2, KERAS_3


@dataclass(frozen=True)
class Call:
    """One call of a layer.

    Attributes:
        layer: the layer that was called.
        args: positional arguments, as the layer's `call` takes them.
        kwargs: arguments by name.
        inputs: all symbolic tensors among them.
        outputs: the tensors that it gave.
    """

    layer: Any
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    inputs: list[Any]
    outputs: list[Any]


def call_of(tensor: Any) -> Call:
    """The call that gave a symbolic tensor."""
    layer, node_index, _ = tensor._keras_history
    node = layer._inbound_nodes[node_index]
    if hasattr(node, "arguments"):
        args, kwargs = tuple(node.arguments.args), dict(node.arguments.kwargs)
        return Call(layer, args, kwargs, list(node.input_tensors), flat(node.outputs))
    args, kwargs = tuple(node.call_args or ()), dict(node.call_kwargs or {})
    if class_name(layer) in ("LSTM", "Bidirectional") and isinstance(args[0], list):
        # Keras 2 records initial states as part of the first argument.
        args, kwargs = (args[0][0],), {**kwargs, "initial_state": args[0][1:]}
    return Call(layer, args, kwargs, list(node.keras_inputs), flat(node.outputs))


def place_of(tensor: Any) -> tuple[int, int, int]:
    """Where a symbolic tensor comes from: its layer's id, which call of it, and which of that call's outputs."""
    layer, node_index, tensor_index = tensor._keras_history
    return id(layer), node_index, tensor_index


def flat(structure: Any) -> list[Any]:
    """The leaves of lists, tuples and dicts, in the order in which either Keras flattens them; None is none."""
    if isinstance(structure, dict):
        return [leaf for _, part in sorted(structure.items()) for leaf in flat(part)]
    if isinstance(structure, (list, tuple)):
        return [leaf for part in structure for leaf in flat(part)]
    return [] if structure is None else [structure]


def all_layers(model: Any) -> list[Any]:
    """The layers of a model, of the models inside it and of wrappers, at any depth."""
    layers = []
    for layer in getattr(model, "layers", ()):
        inside = [getattr(layer, name, None) for name in ("layer", "forward_layer", "backward_layer")]
        layers += [layer, *(each for each in inside if each is not None), *all_layers(layer)]
    return layers


def class_name(layer: Any) -> str:
    """Name of a class of Keras' own layers; of any other class with its module, which is no supported name."""
    kind = type(layer)
    if is_operation(layer):
        return f"{KERAS_3}.ops.{kind.__name__}"
    is_own = kind.__module__.split(".")[0] in (KERAS_3, KERAS_2)
    return kind.__name__ if is_own else f"{kind.__module__}.{kind.__qualname__}"


def is_operation(layer: Any) -> bool:
    """Whether it is one of Keras 3's operations, which stand in a graph like layers and may bear the name of one."""
    return type(layer).__module__.startswith(f"{KERAS_3}.src.ops.")
