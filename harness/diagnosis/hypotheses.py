"""A model and its inputs with one mistake in it, and what it then computes in float64."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from harness.diagnosis.mutations import MUTATIONS, Mutation
from harness.diagnosis.runs import Run
from harness.model.inputs import Inputs
from harness.model.nodes import LstmNode, Node, PoolNode, sources_of
from harness.model.spec import ModelSpec
from harness.oracle.activations import Array
from harness.oracle.reference import reference
from harness.protocol.wire import Phase


@dataclass(frozen=True)
class Hypothesis:
    """One mistake at one place.

    Attributes:
        name: of the mistake.
        text: what is wrong, to follow "if", with the layer where it is in one alone.
        layer: that layer, of several "a, b"; None: it is everywhere.
        run: the network and its inputs with the mistake.
    """

    name: str
    text: str
    layer: str | None
    run: Run

    def tensors(self, dtype: DTypeLike = np.float64, *, gates: bool = False) -> dict[str, Array]:
        """What is computed with the mistake, by the names of OUT.npz."""
        tensors = reference(self.run.spec, self.run.inputs, dtype, gates=gates)
        return {name: array[:, 0] for name, array in tensors.items()} if self.run.rows_are_calls else tensors


def hypotheses(
    spec: ModelSpec, inputs: Inputs, *, partial: bool = True, mutations: Sequence[Mutation] = MUTATIONS
) -> Iterator[Hypothesis]:
    """Every mistake in all layers, in all LSTMs, and of several in each alone, without those that change nothing.

    Args:
        spec: the right network.
        inputs: what it is given.
        partial: with those in one layer alone.
        mutations: which mistakes.
    """
    for mutation in mutations:
        if mutation.runs is not None:
            yield from _of_run(mutation, spec, inputs)
        elif mutation.change is not None:
            yield from _of_nodes(mutation, spec, inputs, partial=partial)


def first_steps(inputs: Inputs, count: int) -> Inputs:
    """The beginning of every sequence, of a network that reads nothing but x."""
    mask = None if inputs.mask is None else inputs.mask[..., :count]
    return replace(inputs, x=inputs.x[..., :count, :], mask=mask)


def reads_forward(spec: ModelSpec) -> bool:
    """Whether the first steps of every LSTM are the same however many there are, and the rest takes any number."""
    lstms = [node for _, node in spec.lstm_nodes()]
    if spec.beside or any(isinstance(node, PoolNode) for node in spec.nodes):
        return False
    if any(source.rows for node in spec.nodes for source in sources_of(node)):  # a Flatten is of all steps
        return False
    sources = [source for node in lstms for source in sources_of(node)]
    is_plain = all(not (source.reverse or source.repeat) for source in sources)
    return is_plain and all(node.phase is Phase.EVERY_STEP and node.initial is None for node in lstms)


def tensor_rows(
    tensors: Mapping[str, NDArray[Any]], rows: NDArray[np.intp], *, has_calls: bool
) -> dict[str, NDArray[Any]]:
    """The same of tensors by the names of OUT.npz."""
    return {name: np.take(array, rows, axis=1 if has_calls else 0) for name, array in tensors.items()}


def same_node(one: Node, other: Node) -> bool:
    """Whether two nodes compute the same, bit by bit."""
    if type(one) is not type(other):
        return False
    pairs = ((getattr(one, field.name), getattr(other, field.name)) for field in fields(one))
    return all(_same(mine, others) for mine, others in pairs)


def _same(mine: Any, others: Any) -> bool:
    if isinstance(mine, np.ndarray) and isinstance(others, np.ndarray):
        return mine.shape == others.shape and mine.tobytes() == others.tobytes()
    if isinstance(mine, np.ndarray) or isinstance(others, np.ndarray):
        given = mine if isinstance(mine, np.ndarray) else others
        return not np.any(given)  # a bias of zeros is none
    return bool(mine == others)


def _of_run(mutation: Mutation, spec: ModelSpec, inputs: Inputs) -> Iterator[Hypothesis]:
    assert mutation.runs is not None
    for run in mutation.runs(spec, inputs):
        layer = ", ".join(run.layers) or None
        yield Hypothesis(mutation.name, _text(mutation, layer), layer, run)


def _of_nodes(mutation: Mutation, spec: ModelSpec, inputs: Inputs, *, partial: bool) -> Iterator[Hypothesis]:
    assert mutation.change is not None
    changed = {}
    for index, node in enumerate(spec.nodes):
        mutated = mutation.change(node)
        if mutated is not node and not same_node(mutated, node):
            changed[index] = mutated
    if changed:
        yield _hypothesis(mutation, spec, inputs, changed, None)
    lstms = {index: node for index, node in changed.items() if isinstance(node, LstmNode)}
    if partial and 1 < len(lstms) < len(changed):
        yield _hypothesis(mutation, spec, inputs, lstms, ", ".join(node.name for node in lstms.values()))
    if partial and len(changed) > 1:
        for index, node in changed.items():
            yield _hypothesis(mutation, spec, inputs, {index: node}, node.name)


def _hypothesis(
    mutation: Mutation, spec: ModelSpec, inputs: Inputs, changed: Mapping[int, Node], layer: str | None
) -> Hypothesis:
    nodes = tuple(changed.get(index, node) for index, node in enumerate(spec.nodes))
    run = Run(replace(spec, nodes=nodes), inputs)
    return Hypothesis(mutation.name, _text(mutation, layer), layer, run)


def _text(mutation: Mutation, layer: str | None) -> str:
    return mutation.text if layer is None else f"{mutation.text} in {_quoted(layer.split(', '))}"


def _quoted(names: Iterable[str]) -> str:
    return " and ".join(f"'{name}'" for name in names)
