"""The graph of a Keras model: its inputs, and the one chain of layers from them to the output.

Anything but a chain is refused by name.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from harness.oracle.calls import Call, call_of, class_name
from harness.oracle.refusals import CONTAINERS, LAYERS, refused_layer, refused_option, refused_structure


@dataclass(frozen=True)
class Link:
    """A layer of the chain.

    Attributes:
        layer: the Keras layer.
        masked: the mask of the run reaches it. In Keras a mask that is given to one call travels on with that call's
            output, through every kind of layer and model that is run here; `mask=None` does not stop it.
    """

    layer: Any
    masked: bool


@dataclass(frozen=True)
class GraphInputs:
    """The inputs of a model.

    Attributes:
        name: of the float input.
        steps: time steps, None where the model leaves them open.
        size: features of one step.
        mask_name: of the bool input that LSTMs take as `mask=`, None without one.
        batch: sequences per call if the model fixes them, else None.
    """

    name: str
    steps: int | None
    size: int
    mask_name: str | None
    batch: int | None


def chain(keras_model: Any) -> list[Link]:
    """The layers that compute something, in the order in which they run; models inside the model are flattened.

    InputLayer and Dropout are left out: at inference they return what they are given.

    Raises:
        ModelRefused: not a chain from one input to one output, or a layer that this version does not run.
    """
    _, mask = _input_tensors(keras_model)
    # Without a mask input the run's mask is given to the whole model, and accompanies x from the start.
    found = list(_links(keras_model, mask, masked=mask is None))
    names = [link.layer.name for link in found]
    for name in names:
        if names.count(name) > 1:
            raise refused_structure(f"Two steps of the model bear the name '{name}'; results are stored by it.")
    return found


def graph_inputs(keras_model: Any) -> GraphInputs:
    """What a model reads.

    Raises:
        ModelRefused: other inputs than float32 (batch, steps, features), and maybe bool (batch, steps) beside it.
    """
    x, mask = _input_tensors(keras_model)
    shape = tuple(x.shape)
    if len(shape) != 3 or shape[2] is None or x.dtype != "float32" or call_of(x).layer.sparse:
        raise refused_structure(
            f"The input of model '{keras_model.name}' is {x.dtype}{list(shape)}; "
            "an LSTM needs float32 [batch, steps, features]."
        )
    shapes = [shape[:2]]
    if mask is not None:
        shapes.append(tuple(mask.shape))
        if len(mask.shape) != 2 or call_of(mask).layer.sparse or len(_fixed(shapes, 1)) > 1:
            raise refused_structure(
                f"Input '{_name(mask)}' of model '{keras_model.name}' is bool{list(mask.shape)}; "
                f"a mask of {list(shape)} is bool {list(shape[:2])}, a value for each step."
            )
    batches, steps = _fixed(shapes, 0), _fixed(shapes, 1)
    return GraphInputs(
        name=_name(x),
        steps=max(steps, default=None),
        size=int(shape[2]),
        mask_name=None if mask is None else _name(mask),
        batch=max(batches, default=None),
    )


def _links(model: Any, mask: Any, *, masked: bool) -> Iterator[Link]:
    """The chain of a model and of the models inside it; `masked`: a mask comes with its input."""
    for layer, is_given_mask in _directly_inside(model, mask):
        masked = masked or is_given_mask
        if class_name(layer) in CONTAINERS:
            _check_built(layer)
            _check_single("inputs", layer.name, layer.inputs)
            yield from _links(layer, None, masked=masked)
        elif class_name(layer) not in LAYERS:
            raise refused_layer(layer.name, class_name(layer))
        elif class_name(layer) not in ("InputLayer", "Dropout"):
            yield Link(layer, masked)


def _directly_inside(model: Any, mask: Any) -> list[tuple[Any, bool]]:
    """The layers of one model, and whether their calls take `mask`; a Functional one is walked back from its output."""
    _check_built(model)
    _check_single("outputs", model.name, model.outputs)
    if class_name(model) == "Sequential":
        return [(layer, False) for layer in model.layers]
    layers: list[tuple[Any, bool]] = []
    tensor = model.outputs[0]
    while tensor is not None:
        call = call_of(tensor)
        tensor, is_given_mask = _only_source(call, mask)
        layers.append((call.layer, is_given_mask))
    return layers[::-1]


def _only_source(call: Call, mask: Any) -> tuple[Any, bool]:
    """The one tensor that a layer of a Functional model reads, None for the input layer; whether it takes `mask`."""
    layer = call.layer
    if class_name(layer) == "InputLayer":
        return None, False
    if class_name(layer) not in LAYERS | CONTAINERS:
        raise refused_layer(layer.name, class_name(layer))
    named = inspect.signature(layer.call).bind(*call.args, **call.kwargs).arguments
    is_given_mask = mask is not None and named.get("mask") is mask
    beside_input = list(named.items())[1:]
    if is_given_mask and class_name(layer) not in {"LSTM"} | CONTAINERS:
        raise refused_option(
            layer.name,
            f"the bool input '{_name(mask)}' as its mask",
            "Give the mask to LSTM layers only; at every step use keras.layers.Activation('softmax').",
        )
    sources = [tensor for tensor in call.inputs if not (is_given_mask and tensor is mask)]
    if len(sources) != 1:
        raise refused_structure(f"Layer '{layer.name}' reads {len(sources)} tensors; this version runs one.")
    unknown = [value for name, value in beside_input if not (is_given_mask and name == "mask")]
    if any(value is not None and value is not False for value in unknown):
        raise refused_option(
            layer.name,
            "more than its input in its call",
            "Call it without `training` and the like; `mask=` may be a bool Input of the model, as it is.",
        )
    return sources[0], is_given_mask


def _input_tensors(model: Any) -> tuple[Any, Any]:
    """The input that is computed with, and the bool one beside it or None."""
    _check_built(model)
    of_bool = [tensor for tensor in model.inputs if tensor.dtype == "bool"]
    others = [tensor for tensor in model.inputs if tensor.dtype != "bool"]
    if len(of_bool) == len(others) == 1:
        return others[0], of_bool[0]
    _check_single("inputs", model.name, model.inputs)
    return model.inputs[0], None


def _check_built(model: Any) -> None:
    if class_name(model) not in CONTAINERS:
        raise refused_structure(f"'{model.name}' is a {class_name(model)}, not a Sequential or Functional model.")
    if not model.built or not getattr(model, "inputs", None):
        raise refused_structure(f"Model '{model.name}' was never built: it has no input shape and no weights.")


def _check_single(what: str, model_name: str, tensors: list[Any]) -> None:
    if len(tensors) != 1:
        names = ", ".join(f"'{_name(tensor)}'" for tensor in tensors)
        raise refused_structure(
            f"Model '{model_name}' has {len(tensors)} {what} ({names}); this version runs one input, "
            "beside it one of bool for the `mask=` of LSTM layers, and one output."
        )


def _name(tensor: Any) -> str:
    """Name of the layer that gave a symbolic tensor."""
    return str(call_of(tensor).layer.name)


def _fixed(shapes: list[tuple[Any, ...]], axis: int) -> set[int]:
    """The sizes of an axis that are fixed."""
    return {shape[axis] for shape in shapes if len(shape) > axis and shape[axis] is not None}
