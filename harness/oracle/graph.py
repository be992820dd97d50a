"""The graph of a Keras model: calls of layers in topological order, each with what it reads.

Models inside the model are flattened. Any layer may be in it: what the device can run is decided in `layers`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Any

from harness.errors import ModelRefused
from harness.oracle.calls import Call, call_of, class_name, flat, place_of
from harness.oracle.masks import makes_its_own, makes_masks, travels_on
from harness.oracle.refusals import CONTAINERS, refused_option, refused_structure
from harness.oracle.runtime import KERAS_3, api_of

COMES_ALONG = -1
"""As the index of a value: the mask that comes with a tensor."""


@dataclass(frozen=True)
class Value:
    """A tensor of the graph.

    Attributes:
        step: index of the step that gave it; None: an input of the model.
        index: its place among the outputs of that step, or among the model's inputs; or COMES_ALONG.
        masked: the mask of the run accompanies it. In Keras a mask that is given to one call travels on with that
            call's output, through every kind of layer and model that is run here; `mask=None` does not stop it.
    """

    step: int | None
    index: int
    masked: bool = False


@dataclass(frozen=True)
class Step:
    """One call of a layer.

    Attributes:
        layer: the Keras layer.
        sources: what it computes with, in order.
        states: what an LSTM is given as `initial_state`.
        masks: what it is given as `mask`; a model may be given one for each of its inputs.
        masked: the mask of the run reaches it.
        extras: names of other arguments that were set in the call.
    """

    layer: Any
    sources: tuple[Value, ...]
    states: tuple[Value, ...] = ()
    masks: tuple[Value | None, ...] = (None,)
    masked: bool = False
    extras: tuple[str, ...] = ()


@dataclass(frozen=True)
class Graph:
    """A whole model.

    Attributes:
        name: the model's name.
        inputs: its symbolic inputs.
        steps: its layers' calls, each behind those that it reads.
        outputs: what it returns, in Keras' order.
        mask_values: what tensors are compared with for the masks that are handed on.
        problems: what of the calls of models inside it was not followed.
    """

    name: str
    inputs: tuple[Any, ...]
    steps: tuple[Step, ...]
    outputs: tuple[Value, ...]
    mask_values: tuple[Any, ...] = ()
    problems: tuple[ModelRefused, ...] = ()

    @property
    def mask_input(self) -> int | None:
        """Place of the one bool input, None without one or with several."""
        places = [place for place, tensor in enumerate(self.inputs) if tensor.dtype == "bool"]
        return places[0] if len(places) == 1 else None

    def input_name(self, place: int) -> str:
        """The name that the model gives to one of its inputs."""
        return name_of(self.inputs[place])

    def describe(self, value: Value) -> str:
        """A value as a message names it."""
        if value.index == COMES_ALONG:
            return "a mask"
        if value.step is None:
            return f"the input '{self.input_name(value.index)}'"
        layer = self.steps[value.step].layer
        part = f"output {value.index} of " if value.index else ""
        return f"{part}{class_name(layer)} '{layer.name}'"


def graph_of(keras_model: Any) -> Graph:
    """The graph of a Sequential or Functional model.

    Raises:
        ModelRefused: another kind of model, one that was never built, or a model inside it is called on other tensors
            than its inputs.
    """
    _check_built(keras_model)
    inputs = tuple(keras_model.inputs)
    empty = Graph(keras_model.name, inputs, (), ())
    # The run's mask is a bool input, or made by a Masking layer; else it is given to the whole model, and accompanies
    # the sequence from the start.
    sequences = [tensor for tensor in inputs if len(tensor.shape) == 3]
    from_start = empty.mask_input is None and not makes_its_own(keras_model) and len(sequences) == 1
    given = [Value(None, place, masked=from_start and len(tensor.shape) == 3) for place, tensor in enumerate(inputs)]
    walk = _Walk(empty.mask_input)
    outputs = walk.through(keras_model, given)
    return replace(
        empty,
        steps=tuple(walk.steps),
        outputs=tuple(outputs),
        mask_values=tuple(walk.mask_values),
        problems=tuple(walk.problems),
    )


def name_of(tensor: Any) -> str:
    """Name of the layer that gave a symbolic tensor."""
    return str(call_of(tensor).layer.name)


class _Walk:
    """Collects the steps of a model and of the models inside it."""

    def __init__(self, mask_input: int | None) -> None:
        self.steps: list[Step] = []
        self.mask_values: list[Any] = []
        self.problems: list[ModelRefused] = []
        self._mask_input = mask_input

    def through(self, model: Any, given: Sequence[Value]) -> list[Value]:
        """The steps of one model; gives the values that it returns.

        Args:
            model: a built model.
            given: a value for each of its inputs.
        """
        values = {place_of(tensor): value for tensor, value in zip(model.inputs, given, strict=True)}
        for (layer_id, node_index), call in _in_order(model.outputs, values):
            given = self._run(call, values)
            for index, (value, tensor) in enumerate(zip(given, call.outputs, strict=True)):
                values[layer_id, node_index, index] = value
                mask = getattr(tensor, "_keras_mask", None)
                if hasattr(mask, "_keras_history"):  # Keras 2 hands none over in calls
                    values.setdefault(place_of(mask), Value(None, COMES_ALONG, value.masked))
        return [values[place_of(tensor)] for tensor in model.outputs]

    def _run(self, call: Call, values: Mapping[tuple[int, int, int], Value]) -> list[Value]:
        if makes_masks(call.layer):
            return [self._mask(call, [values[place_of(tensor)] for tensor in call.inputs])]
        step = _step(call, values)
        # Keras records the mask that comes with a tensor like one that was given; it is told by the tensor here.
        recorded = [mask for mask in step.masks if mask is not None and mask.index == COMES_ALONG]
        step = replace(step, masks=tuple(None if mask in recorded else mask for mask in step.masks))
        if class_name(call.layer) in CONTAINERS:
            return self._run_inner(step)
        is_given = self._is_mask_input(step.masks[0]) or any(mask.masked for mask in recorded)
        comes_along = [source.masked or is_given for source in step.sources]
        # Keras 3 gives a layer no mask of its input's where it is called on other tensors too; the output still has it.
        is_kept_off = step.states and api_of(call.layer).name == KERAS_3
        self.steps.append(replace(step, masked=is_given or (any(comes_along[:1]) and not is_kept_off)))
        keeps = [travels_on(call.layer, comes_along, place) for place in range(len(call.outputs))]
        return [Value(len(self.steps) - 1, place, masked) for place, masked in enumerate(keeps)]

    def _mask(self, call: Call, sources: list[Value]) -> Value:
        """The mask that an operation gives, of those in a file of Keras 3 that make the masks which layers hand on."""
        kind = type(call.layer).__name__
        if kind == "NotEqual":
            self.mask_values.append(call.args[1] if len(call.args) > 1 else None)
            return Value(None, COMES_ALONG, masked=True)
        if kind in ("OnesLike", "ZerosLike"):  # where every step counts, or none does beside those of another mask
            return Value(None, COMES_ALONG, masked=kind == "ZerosLike")
        return Value(None, COMES_ALONG, all(source.masked for source in sources))

    def _run_inner(self, step: Step) -> list[Value]:
        model = step.layer
        _check_built(model)
        if step.extras or len(step.sources) != len(model.inputs) or len(step.masks) not in (1, len(step.sources)):
            problem = refused_option(
                model.name,
                f"more than its inputs in its call ({', '.join(step.extras) or 'other tensors'})",
                "Call the inner model with its inputs alone; `mask=` may be a bool Input of the model, as it is.",
            )
            if len(step.sources) != len(model.inputs):
                raise problem
            self.problems.append(problem)
        if any(mask is not None and not self._is_mask_input(mask) for mask in step.masks):
            self.problems.append(
                refused_option(model.name, "a mask in its call", "Give the mask to the LSTM layers inside it.")
            )
        pairs = zip_longest(step.sources, step.masks)
        return self.through(model, [replace(value, masked=value.masked or mask is not None) for value, mask in pairs])

    def _is_mask_input(self, mask: Value | None) -> bool:
        return mask is not None and mask.step is None and mask.index == self._mask_input


def _in_order(
    outputs: Sequence[Any], known: Mapping[tuple[int, int, int], Value]
) -> Iterator[tuple[tuple[int, int], Call]]:
    """The calls behind `outputs`, each once and behind those that it reads; nothing behind what is `known`."""
    done: set[tuple[int, int]] = set()
    # Each entry: a tensor, and whether what its call reads was seen to already. No recursion: graphs can be deep.
    waiting = [(tensor, False) for tensor in reversed(outputs)]
    while waiting:
        tensor, is_ready = waiting.pop()
        place = place_of(tensor)
        if place in known or place[:2] in done:
            continue
        call = call_of(tensor)
        if is_ready:
            done.add(place[:2])
            yield place[:2], call
        else:
            waiting.append((tensor, True))
            waiting += [(source, False) for source in reversed(call.inputs)]


def _step(call: Call, values: Mapping[tuple[int, int, int], Value]) -> Step:
    """One call with its arguments told apart."""
    found = {id(tensor): values[place_of(tensor)] for tensor in call.inputs}
    arguments = _arguments(call)
    first, *others = arguments or [""]
    read = [id(tensor) for tensor in _in_model_order(call, arguments.get(first))]
    states = [id(tensor) for tensor in flat(arguments.get("initial_state"))]
    mask = arguments.get("mask")
    masks = [id(each) if each is not None else None for each in (mask if isinstance(mask, list) else [mask])]
    known = set()
    if states and all(state in found for state in states):
        known.add("initial_state")
    if all(each is None or each in found for each in masks):
        known.add("mask")
    return Step(
        layer=call.layer,
        sources=tuple(found[each] for each in read if each in found),
        states=tuple(found[state] for state in states) if "initial_state" in known else (),
        masks=tuple(None if each is None else found[each] for each in masks) if "mask" in known else (None,),
        extras=tuple(name for name in others if name not in known and _is_set(arguments[name])),
    )


def _arguments(call: Call) -> dict[str, Any]:
    """The arguments by the names of the layer's parameters; of what has no such names, all tensors as one."""
    try:
        return dict(inspect.signature(call.layer.call).bind(*call.args, **call.kwargs).arguments)
    except (AttributeError, TypeError):
        return {"": call.inputs}


def _in_model_order(call: Call, first: Any) -> list[Any]:
    """The tensors in a call's first argument; in that of a model that is given a dict, as the model's inputs are."""
    if class_name(call.layer) in CONTAINERS and isinstance(first, dict):
        names = [name_of(tensor) for tensor in call.layer.inputs]
        if set(names) == set(first):
            return [first[name] for name in names]
    return flat(first)


def _is_set(argument: Any) -> bool:
    return any(leaf is not False for leaf in flat(argument))


def _check_built(model: Any) -> None:
    if class_name(model) not in CONTAINERS:
        raise refused_structure(f"'{model.name}' is a {class_name(model)}, not a Sequential or Functional model.")
    if not model.built or not getattr(model, "inputs", None):
        raise refused_structure(f"Model '{model.name}' was never built: it has no input shape and no weights.")
