"""The inputs of a Keras model told apart: the sequence, the mask, and initial states."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.oracle.calls import call_of
from harness.oracle.graph import Graph
from harness.oracle.refusals import refused_structure


@dataclass(frozen=True)
class ModelInputs:
    """The inputs of a model.

    Attributes:
        sequence: place of the float input among the model's inputs.
        name: its name.
        steps: time steps, None where the model leaves them open.
        size: features of one step.
        mask_name: of the bool input that LSTMs take as `mask=`, None without one.
        states: names of the inputs that LSTMs take as `initial_state=`, by their places.
        batch: sequences per call if the model fixes them, else None.
    """

    sequence: int
    name: str
    steps: int | None
    size: int
    mask_name: str | None
    states: Mapping[int, str]
    batch: int | None


def model_inputs(graph: Graph) -> ModelInputs:
    """What a model reads.

    Raises:
        ModelRefused: other inputs than one of float32 [batch, steps, features] and beside it one of bool
            [batch, steps] for masks and any of float32 [batch, units] for initial states.
    """
    states = _states(graph)
    mask = graph.mask_input
    sequences = [place for place in range(len(graph.inputs)) if place not in states and place != mask]
    if not sequences and mask is not None and not states:
        sequences, mask = [mask], None
    if len(sequences) != 1:
        raise refused_structure(
            f"Model '{graph.name}' has {len(graph.inputs)} inputs ({', '.join(map(_input_text, graph.inputs))}); "
            "this version runs one sequence of float32 [batch, steps, features], beside it one input of bool for the "
            "`mask=` of LSTM layers and inputs of float32 [batch, units] for their `initial_state=`."
        )
    (sequence,) = sequences
    x = graph.inputs[sequence]
    shape = tuple(x.shape)
    if len(shape) != 3 or shape[2] is None or x.dtype != "float32" or _is_sparse(x):
        raise refused_structure(
            f"The input of model '{graph.name}' is {_type_text(x)}; an LSTM needs float32 [batch, steps, features]."
        )
    shapes = [shape[:2]]
    if mask is not None:
        shapes.append(tuple(graph.inputs[mask].shape))
        _check_mask(graph, mask, shape, shapes)
    batches = _fixed([*shapes, *(tuple(graph.inputs[place].shape) for place in states)], 0)
    return ModelInputs(
        sequence=sequence,
        name=graph.input_name(sequence),
        steps=max(_fixed(shapes, 1), default=None),
        size=int(shape[2]),
        mask_name=None if mask is None else graph.input_name(mask),
        states=states,
        batch=max(batches, default=None),
    )


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
