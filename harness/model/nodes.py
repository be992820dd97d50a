"""The nodes of a network, each with its float32 weights and with what it reads.

Weights have Keras' shapes and gate order (i, f, c, o); `pack` turns them into the device's layout.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

from harness.model.array_types import Float32Array
from harness.protocol.wire import Activation, Operation, Phase, Tap

GATES = ("i", "f", "c", "o")
"""Keras' gate order along the last axis of kernel, recurrent_kernel and bias (keras/src/layers/rnn/lstm.py)."""

_WITH_GATES = (".z", ".gates")


def gates_of(tensor: str) -> tuple[str, ...]:
    """The gates whose units a tensor, by its name in OUT.npz, has side by side on its last axis; of most none."""
    return GATES if tensor.endswith(_WITH_GATES) else ()


@dataclass(frozen=True)
class Source:
    """What a node reads, in Keras' terms: a sequence step by step, or a vector.

    A node of AFTER_LAST_STEP that reads a sequence reads its last step, or all of it with `rows`.

    Attributes:
        node: index of a node before it; None: an input of the model.
        tap: its output, or the h or c that an LSTM ends with.
        reverse: a sequence from its last step to its first, and a mask likewise.
        repeat: a vector, the same at each of so many steps (RepeatVector); 0: it is no such.
        rows: all values in their order, cut anew into rows of so many floats (Reshape, Flatten); 0: rows as they are.
        input: without a node, which of `ModelSpec.inputs`.
    """

    node: int | None = None
    tap: Tap = Tap.OUTPUT
    reverse: bool = False
    repeat: int = 0
    rows: int = 0
    input: int = 0


SourceLike: TypeAlias = Source | int | None
"""A source; the index of a node stands for its output, None for the model's input, both as they are."""


@dataclass(frozen=True)
class LstmNode:
    """An LSTM layer.

    Attributes:
        name: the Keras layer's name.
        source: what it reads.
        phase: EVERY_STEP, or AFTER_LAST_STEP behind a layer that returns only its last output.
        kernel: float32 (input_size, 4 units), gates i, f, c, o.
        recurrent_kernel: float32 (units, 4 units).
        bias: float32 (4 units), or None without one.
        activation: of the candidate and of the cell state on its way to h.
        recurrent_activation: of the gates i, f and o.
        zero_output_for_mask: at a masked step the output is zero instead of the previous output.
        return_sequences: the layer's value is the output of every step, else that of the last one.
        masked: it obeys the mask of the run; else every step counts for it.
        initial: where the h and c come from that it begins with; None: from the inputs of the run, or zeros.
        h0_input: name of the model's input that is h before the first step; None: it has none.
        c0_input: the same for c.
        stateful: a call begins with the states that the call before left, unless it is given others.
    """

    name: str
    source: SourceLike
    phase: Phase
    kernel: Float32Array
    recurrent_kernel: Float32Array
    bias: Float32Array | None
    activation: Activation
    recurrent_activation: Activation
    zero_output_for_mask: bool = False
    return_sequences: bool = True
    masked: bool = True
    initial: tuple[Source, Source] | None = None
    h0_input: str | None = None
    c0_input: str | None = None
    stateful: bool = False

    @property
    def input_size(self) -> int:
        """Features of one step."""
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        """Size of h and of c."""
        return int(self.recurrent_kernel.shape[0])

    @property
    def parameters(self) -> int:
        """4 ((input_size + units) units + units), the last term only with a bias."""
        return self.kernel.size + self.recurrent_kernel.size + (0 if self.bias is None else self.bias.size)


@dataclass(frozen=True)
class DenseNode:
    """A Dense layer.

    Attributes:
        name: the Keras layer's name.
        source: what it reads.
        phase: EVERY_STEP or AFTER_LAST_STEP.
        kernel: float32 (input_size, units).
        bias: float32 (units), or None.
        activation: applied to the sum.
    """

    name: str
    source: SourceLike
    phase: Phase
    kernel: Float32Array
    bias: Float32Array | None
    activation: Activation

    @property
    def input_size(self) -> int:
        """Features that it reads."""
        return int(self.kernel.shape[0])

    @property
    def units(self) -> int:
        """Features that it gives."""
        return int(self.kernel.shape[1])

    @property
    def parameters(self) -> int:
        """Weights and biases."""
        return self.kernel.size + (0 if self.bias is None else self.bias.size)


class _HasUnits(Protocol):
    @property
    def units(self) -> int: ...


class _AsManyOut:
    """What nodes have in common that give as many features as they read."""

    @property
    def input_size(self: _HasUnits) -> int:
        """Features that it reads: as many as it gives."""
        return self.units


class _WithoutWeights(_AsManyOut):
    """And that have nothing to learn."""

    @property
    def parameters(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True)
class ActivationNode(_WithoutWeights):
    """An Activation layer: as many values out as in."""

    name: str
    source: SourceLike
    phase: Phase
    units: int
    activation: Activation


@dataclass(frozen=True)
class MergeNode(_WithoutWeights):
    """Several values made into one, element by element or one behind the other.

    Attributes:
        name: the Keras layer's name.
        sources: what it reads; each of `units` values, but for CONCATENATE, where `units` is their sum.
        phase: EVERY_STEP or AFTER_LAST_STEP.
        units: values that it gives.
        operation: what is done.
    """

    name: str
    sources: tuple[Source, ...]
    phase: Phase
    units: int
    operation: Operation
    activation: ClassVar[Activation] = Activation.LINEAR


@dataclass(frozen=True)
class ScaleNode(_AsManyOut):
    """Each feature times a number, and another one added (BatchNormalization as it is at inference).

    Attributes:
        name: the Keras layer's name.
        source: what it reads.
        phase: EVERY_STEP or AFTER_LAST_STEP.
        scale: float32 (units).
        offset: float32 (units).
    """

    name: str
    source: SourceLike
    phase: Phase
    scale: Float32Array
    offset: Float32Array
    activation: ClassVar[Activation] = Activation.LINEAR

    @property
    def units(self) -> int:
        """Features that it gives."""
        return int(self.scale.size)

    @property
    def parameters(self) -> int:
        """Two a feature."""
        return self.scale.size + self.offset.size


@dataclass(frozen=True)
class PoolNode(_WithoutWeights):
    """One vector of all steps of a sequence (GlobalAveragePooling1D, GlobalMaxPooling1D).

    Attributes:
        name: the Keras layer's name.
        source: what it reads.
        units: features.
        operation: AVERAGE or MAXIMUM.
        masked: masked steps are left out.
    """

    name: str
    source: SourceLike
    units: int
    operation: Operation
    masked: bool = False
    phase: ClassVar[Phase] = Phase.EVERY_STEP  # it gathers
    activation: ClassVar[Activation] = Activation.LINEAR


Node: TypeAlias = LstmNode | DenseNode | ActivationNode | MergeNode | ScaleNode | PoolNode


def as_source(source: SourceLike) -> Source:
    """The source in full."""
    return source if isinstance(source, Source) else Source(source)


def sources_of(node: Node) -> tuple[Source, ...]:
    """What a node reads: of an LSTM x, then the h and c that it begins with, if it names any."""
    if isinstance(node, MergeNode):
        return node.sources
    initial = node.initial if isinstance(node, LstmNode) else None
    return (as_source(node.source), *(initial or ()))


def gives_sequence(node: Node) -> bool:
    """Whether a node gives a value for every step, or one behind the last step."""
    if isinstance(node, LstmNode):
        return node.return_sequences
    return node.phase == Phase.EVERY_STEP and not isinstance(node, PoolNode)


def is_softmax(node: Node) -> bool:
    """Whether a node gives probabilities of classes, or their logarithms."""
    return not isinstance(node, LstmNode) and node.activation in (Activation.SOFTMAX, Activation.LOG_SOFTMAX)


def obeys_mask(node: Node) -> bool:
    """Whether a node does otherwise at masked steps."""
    return isinstance(node, LstmNode | PoolNode) and node.masked
