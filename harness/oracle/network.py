"""The nodes of a network in the making, and the tensors between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from harness.model.nodes import LstmNode, MergeNode, Node, Source, gives_sequence
from harness.model.spec import NetworkInput
from harness.protocol.wire import Operation, Phase, Tap

STATES = (Tap.STATE_H, Tap.STATE_C)
"""What an LSTM with return_state=True returns behind its output, and what it takes as initial_state."""


@dataclass(frozen=True)
class Tensor:
    """A tensor of the graph, as a node would read it.

    Attributes:
        source: whose value it is, and how it is read.
        size: values of a step; of a vector all values.
        is_sequence: it has steps.
        steps: how many, None: as many as the run has; 1 of a vector.
        length_of: which input of the model has as many, where they are open.
    """

    source: Source
    size: int
    is_sequence: bool
    steps: int | None
    length_of: int = 0

    @property
    def phase(self) -> Phase:
        """When a node runs that reads it."""
        return Phase.EVERY_STEP if self.is_sequence else Phase.AFTER_LAST_STEP

    @property
    def total(self) -> int | None:
        """All of its values, None where the steps are open."""
        return None if self.steps is None else self.steps * self.size


class Network:
    """Nodes in the order in which they run, each with the Keras layer that it stands for.

    Attributes:
        nodes: the nodes.
        layers: the Keras layer of each, None of one that is part of a layer or only copies.
        inputs: the model's inputs.
        one_length: sequences with open steps were joined: they must have equally many.
    """

    def __init__(self, inputs: Sequence[NetworkInput]) -> None:
        self.nodes: list[Node] = []
        self.layers: list[Any] = []
        self.one_length = False
        self.inputs = [
            Tensor(Source(input=place), each.size, each.is_sequence, each.steps if each.is_sequence else 1, place)
            for place, each in enumerate(inputs)
        ]

    def add(self, node: Node, layer: Any, read: Tensor) -> Tensor:
        """Add a node that reads a tensor, and others of equally many steps; its output."""
        self.nodes.append(node)
        self.layers.append(layer)
        source = Source(len(self.nodes) - 1)
        if not gives_sequence(node):
            return Tensor(source, node.units, is_sequence=False, steps=1)
        return Tensor(source, node.units, is_sequence=True, steps=read.steps, length_of=read.length_of)

    def states_of(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The h and c that the LSTM ends with which gave `output`."""
        h, c = (Tensor(replace(output.source, tap=tap), output.size, False, 1) for tap in STATES)
        return h, c

    def merged(self, name: str, tensors: Sequence[Tensor], operation: Operation) -> Tensor:
        """Several tensors made into one. All are sequences of as many steps, or none is."""
        first = tensors[0]
        joins = operation is Operation.CONCATENATE
        units = sum(tensor.size for tensor in tensors) if joins else first.size
        sources = tuple(tensor.source for tensor in tensors)
        lengths = {tensor.length_of for tensor in tensors if tensor.is_sequence and tensor.steps is None}
        self.one_length = self.one_length or len(lengths) > 1
        return self.add(MergeNode(name, sources, first.phase, units, operation), None, first)

    def copied(self, tensor: Tensor, name: str) -> Tensor:
        """The same values as the output of a node, which can be read in any way; the tensor itself where it is one."""
        if tensor.source == Source(tensor.source.node) and tensor.source.node is not None:
            return tensor
        return self.merged(name, [tensor], Operation.CONCATENATE)

    def flipped(self, tensor: Tensor, name: str) -> Tensor:
        """A sequence from its last step to its first, in a node of its own: a mask does not turn with it."""
        return self.merged(name, [backwards(self.copied(tensor, name))], Operation.CONCATENATE)

    def repeated(self, tensor: Tensor, steps: int, name: str) -> Tensor:
        """A vector at each of so many steps."""
        is_plain = tensor.source == Source(tensor.source.node, tensor.source.tap, input=tensor.source.input)
        plain = tensor if is_plain else self.copied(tensor, name)
        return Tensor(replace(plain.source, repeat=steps), plain.size, is_sequence=True, steps=steps)

    def recut(self, tensor: Tensor, size: int, name: str, *, is_sequence: bool) -> Tensor:
        """The values of a tensor whose number is fixed, in rows of so many; as a vector all of them are one row."""
        if (tensor.size, tensor.is_sequence) == (size, is_sequence):
            return tensor
        total = tensor.total
        assert total is not None
        assert total % size == 0
        node, rows = tensor.source.node, tensor.source.rows
        is_only_cut = node is not None and tensor.source == Source(node, rows=rows)
        plain = tensor if is_only_cut else self.copied(tensor, name)
        return Tensor(replace(plain.source, rows=size), size, is_sequence, total // size if is_sequence else 1)


def backwards(tensor: Tensor) -> Tensor:
    """A sequence as a layer with go_backwards reads it."""
    return replace(tensor, source=replace(tensor.source, reverse=not tensor.source.reverse))


def with_sources(node: LstmNode, tensor: Tensor, states: Sequence[Tensor]) -> LstmNode:
    """An LSTM that reads a tensor, in its own direction, and begins with h and c if they are given."""
    reverse = isinstance(node.source, Source) and node.source.reverse
    initial = (states[0].source, states[1].source) if states else None
    return replace(node, source=short((backwards(tensor) if reverse else tensor).source), initial=initial)


def short(source: Source) -> Source | int | None:
    """An output as it is by its node's index alone."""
    return source.node if source == Source(source.node) else source
