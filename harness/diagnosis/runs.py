"""Mistakes of how a network is run: states, masks, time, which layer gets which weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import TypeAlias

import numpy as np

from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode, Node, PoolNode, as_source, sources_of
from harness.model.spec import ModelSpec


@dataclass(frozen=True)
class Run:
    """A network and its inputs.

    Attributes:
        spec: the network.
        inputs: what it is given.
        rows_are_calls: the sequences are calls of one state, with a batch of 1 each: the values want their batch back.
        layers: the layers that the mistake is about, if it is not about all.
    """

    spec: ModelSpec
    inputs: Inputs
    rows_are_calls: bool = False
    layers: tuple[str, ...] = ()


MutatedRun: TypeAlias = Callable[[ModelSpec, Inputs], Iterator[Run]]
"""The ways in which a mistake may be in a run; none where the run has no room for it."""


@dataclass(frozen=True)
class RunMutation:
    """A mistake of a run: see `Mutation`."""

    name: str
    text: str
    mutated: MutatedRun


def _state_not_reset(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    if inputs.reset_before is not None:
        yield Run(spec, replace(inputs, reset_before=np.zeros_like(inputs.reset_before)))
        return
    lstms = [node for _, node in spec.lstm_nodes()]
    if spec.batch == 1 and not any(node.stateful for node in lstms):
        return  # a run has no second sequence
    if all(node.initial or (node.h0_input and node.c0_input) for node in lstms):
        return  # each begins with a state that it is given
    nodes = _with_lstms(spec, lambda node: replace(node, stateful=True))
    yield Run(replace(spec, nodes=nodes), _rows_as_calls(inputs), rows_are_calls=True)


def _rows_as_calls(inputs: Inputs) -> Inputs:
    return replace(
        inputs.with_arrays(lambda array: array[:, np.newaxis]), reset_before=np.zeros(inputs.batch, dtype=np.bool_)
    )


def _state_reset(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    if inputs.reset_before is not None:
        yield Run(spec, replace(inputs, reset_before=np.ones_like(inputs.reset_before)))


def _initial_ignored(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    if inputs.initial or any(node.initial is not None for _, node in spec.lstm_nodes()):
        nodes = _with_lstms(spec, lambda node: replace(node, initial=None))
        yield Run(replace(spec, nodes=nodes), replace(inputs, initial={}))


def _initial_swapped(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    other = {"h0": "c0", "c0": "h0"}
    swapped = {}
    for name, states in inputs.initial.items():
        layer, _, state = name.rpartition(".")
        swapped[f"{layer}.{other[state]}"] = states
    nodes = _with_lstms(spec, lambda node: replace(node, initial=node.initial and (node.initial[1], node.initial[0])))
    if swapped or any(node.initial is not None for _, node in spec.lstm_nodes()):
        yield Run(replace(spec, nodes=nodes), replace(inputs, initial=swapped))


def _mask_ignored(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    if inputs.seen_by(spec)[1] is None:
        return
    nodes = tuple(replace(node, masked=False) if isinstance(node, LstmNode | PoolNode) else node for node in spec.nodes)
    unmasked = replace(spec, nodes=nodes, mask_value=None)
    yield Run(unmasked, replace(inputs, x=inputs.seen_by(spec)[0], mask=None))
    if spec.mask_value:  # Masking also zeroes what it masks, which whoever leaves out the whole layer does not
        yield Run(unmasked, inputs)


def _masked_output(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    """Each LSTM that obeys the mask, all of them together."""
    if inputs.seen_by(spec)[1] is None:
        return
    nodes = _with_lstms(spec, lambda node: replace(node, zero_output_for_mask=not node.zero_output_for_mask))
    yield Run(replace(spec, nodes=nodes), inputs)


def _time_reversed(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    """The sequences from their last step; then each LSTM alone the other way, which of the only reader is the same.

    Of one step, or a vector that is repeated, the other way is the same too.
    """
    flipped = {each.name for each in spec.beside if each.is_sequence}
    beside = {name: np.flip(array, axis=-2) if name in flipped else array for name, array in inputs.beside.items()}
    mask = None if inputs.mask is None else np.flip(inputs.mask, axis=-1)
    is_one_step = all(each.steps == 1 for each in spec.inputs if each.is_sequence)
    if not is_one_step:
        yield Run(spec, replace(inputs, x=np.flip(inputs.x, axis=-2), mask=mask, beside=beside))
    makes_steps = any(source.repeat or source.rows for node in spec.nodes for source in sources_of(node))
    readers = [index for index, node in spec.lstm_nodes() if as_source(node.source).node is None]
    for index, node in spec.lstm_nodes():
        source = as_source(node.source)
        if readers == [index] or (is_one_step and not makes_steps) or (source.repeat and not node.masked):
            continue
        turned = replace(node, source=replace(source, reverse=not source.reverse))
        yield Run(_with_node(spec, index, turned), inputs, layers=(node.name,))


def _layers_swapped(spec: ModelSpec, inputs: Inputs) -> Iterator[Run]:
    for (place, one), (other_place, other) in combinations(spec.lstm_nodes(), 2):
        if one.kernel.shape != other.kernel.shape or one.units != other.units:
            continue
        if (one.bias is None) != (other.bias is None):
            continue
        swapped = _with_node(spec, place, _with_weights_of(one, other))
        swapped = _with_node(swapped, other_place, _with_weights_of(other, one))
        yield Run(swapped, inputs, layers=(one.name, other.name))


def _with_lstms(spec: ModelSpec, change: Callable[[LstmNode], LstmNode]) -> tuple[Node, ...]:
    return tuple(change(node) if isinstance(node, LstmNode) else node for node in spec.nodes)


def _with_node(spec: ModelSpec, index: int, node: Node) -> ModelSpec:
    return replace(spec, nodes=(*spec.nodes[:index], node, *spec.nodes[index + 1 :]))


def _with_weights_of(node: LstmNode, other: LstmNode) -> LstmNode:
    return replace(node, kernel=other.kernel, recurrent_kernel=other.recurrent_kernel, bias=other.bias)


MUTATED_RUNS = (
    RunMutation("state_not_reset", "the state is not reset between sequences", _state_not_reset),
    RunMutation("state_reset", "the state is reset between calls that should carry it on", _state_reset),
    RunMutation("initial_state_ignored", "the initial states are ignored", _initial_ignored),
    RunMutation("initial_states_swapped", "the initial h and c are swapped", _initial_swapped),
    RunMutation("mask_ignored", "the mask is ignored", _mask_ignored),
    RunMutation(
        "masked_output",
        "masked steps give zeros where the model repeats the output before, or the other way round",
        _masked_output,
    ),
    RunMutation("time_reversed", "the steps are read in the other direction", _time_reversed),
    RunMutation("layers_swapped", "the weights of two layers are swapped", _layers_swapped),
)
