"""The inputs of a Keras model told apart: sequences, vectors, the mask, and initial states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.model.spec import NetworkInput
from harness.oracle.calls import call_of
from harness.oracle.graph import Graph
from harness.oracle.refusals import refused_structure


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of a model.

    Attributes:
        read: what layers read, the first sequence first.
        places: of these among the model's inputs.
        mask_name: of the bool input that LSTMs take as `mask=`, None without one.
        states: names of the inputs that are only taken as `initial_state=`, by their places.
        batch: sequences per call if the model fixes them, else None.
    """

    read: tuple[NetworkInput, ...]
    places: tuple[int, ...]
    mask_name: str | None
    states: Mapping[int, str]
    batch: int | None


def model_inputs(graph: Graph) -> ModelInputs:
    """What a model reads.

    Raises:
        ModelRefused: other inputs than at least one of float32 [batch, steps, features], and beside it one of bool
            [batch, steps] for masks and any of float32 [batch, features].
    """
    states = _states(graph)
    mask = graph.mask_input
    places = [place for place in range(len(graph.inputs)) if place not in states and place != mask]
    places.sort(key=lambda place: len(graph.inputs[place].shape) != 3)  # the first sequence first
    if not places and mask is not None and not states:
        places, mask = [mask], None
    if not places or not all(_is_read(graph.inputs[place]) for place in places[1:]):
        raise refused_structure(
            f"Model '{graph.name}' has {len(graph.inputs)} inputs ({', '.join(map(_input_text, graph.inputs))}); "
            "this version runs float32 [batch, steps, features], beside it [batch, features], and one input of bool "
            "for the `mask=` of LSTM layers."
        )
    x = graph.inputs[places[0]]
    shape = tuple(x.shape)
    if len(shape) != 3 or not _is_read(x):
        raise refused_structure(
            f"The input of model '{graph.name}' is {_type_text(x)}; an LSTM needs float32 [batch, steps, features]."
        )
    shapes = [shape[:2]]
    if mask is not None:
        shapes.append(tuple(graph.inputs[mask].shape))
        _check_mask(graph, mask, shape, shapes)
    others = [tuple(graph.inputs[place].shape) for place in (*places[1:], *states)]
    batches = _fixed([*shapes, *others], 0)
    first = NetworkInput(graph.input_name(places[0]), int(shape[2]), max(_fixed(shapes, 1), default=None))
    beside = [
        NetworkInput(graph.input_name(place), int(shape[-1]), shape[1] if len(shape) == 3 else 0)
        for place, shape in ((place, tuple(graph.inputs[place].shape)) for place in places[1:])
    ]
    return ModelInputs(
        read=(first, *beside),
        places=tuple(places),
        mask_name=None if mask is None else graph.input_name(mask),
        states=states,
        batch=max(batches, default=None),
    )


def _is_read(tensor: Any) -> bool:
    """Whether layers can read it: float32 with a fixed number of features, in steps or not."""
    is_float = tensor.dtype == "float32" and not _is_sparse(tensor)
    return is_float and len(tensor.shape) in (2, 3) and tensor.shape[-1] is not None


def _states(graph: Graph) -> dict[int, str]:
    """The inputs that an LSTM takes as its initial state, and no layer as anything else."""
    used = {value.index for step in graph.steps for value in step.states if value.step is None}
    read = {value.index for step in graph.steps for value in step.sources if value.step is None}
    is_state = {place: _type_ok(graph.inputs[place]) and place not in read for place in used}
    return {place: graph.input_name(place) for place in sorted(used) if is_state[place]}


def _type_ok(tensor: Any) -> bool:
    return len(tensor.shape) == 2 and tensor.dtype == "float32" and not _is_sparse(tensor)


def _check_mask(graph: Graph, mask: int, shape: tuple[Any, ...], shapes: list[tuple[Any, ...]]) -> None:
    tensor = graph.inputs[mask]
    if len(tensor.shape) != 2 or _is_sparse(tensor) or len(_fixed(shapes, 1)) > 1:
        raise refused_structure(
            f"Input '{graph.input_name(mask)}' of model '{graph.name}' is {_type_text(tensor)}; "
            f"a mask of {list(shape)} is bool {list(shape[:2])}, a value for each step."
        )


def _is_sparse(tensor: Any) -> bool:
    return bool(call_of(tensor).layer.sparse)


def _type_text(tensor: Any) -> str:
    return f"{_dtype_text(tensor)}{list(tensor.shape)}"


def _dtype_text(tensor: Any) -> str:
    return str(getattr(tensor.dtype, "name", tensor.dtype))


def _input_text(tensor: Any) -> str:
    return f"'{call_of(tensor).layer.name}' {_type_text(tensor)}"


def _fixed(shapes: list[tuple[Any, ...]], axis: int) -> set[int]:
    """The sizes of an axis that are fixed."""
    return {shape[axis] for shape in shapes if len(shape) > axis and shape[axis] is not None}
