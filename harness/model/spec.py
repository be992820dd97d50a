"""A network as a list of nodes with their float32 weights, between Keras on one side and the device on the other.

Weights have Keras' shapes and gate order (i, f, c, o); `pack` turns them into the device's layout.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.protocol.wire import Activation, Operation, Phase, Tap

Float32Array: TypeAlias = NDArray[np.float32]
Float64Array: TypeAlias = NDArray[np.float64]
BoolArray: TypeAlias = NDArray[np.bool_]

GATES = ("i", "f", "c", "o")
"""Keras' gate order along the last axis of kernel, recurrent_kernel and bias (keras/src/layers/rnn/lstm.py)."""


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


@dataclass(frozen=True)
class ActivationNode:
    """An Activation layer: as many values out as in."""

    name: str
    source: SourceLike
    phase: Phase
    units: int
    activation: Activation

    @property
    def input_size(self) -> int:
        """Features that it reads."""
        return self.units

    @property
    def parameters(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True)
class MergeNode:
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

    @property
    def activation(self) -> Activation:
        """None."""
        return Activation.LINEAR

    @property
    def input_size(self) -> int:
        """As many as it gives."""
        return self.units

    @property
    def parameters(self) -> int:
        """None."""
        return 0


@dataclass(frozen=True)
class ScaleNode:
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

    @property
    def activation(self) -> Activation:
        """None."""
        return Activation.LINEAR

    @property
    def input_size(self) -> int:
        """Features that it reads."""
        return self.units

    @property
    def units(self) -> int:
        """Features that it gives."""
        return int(self.scale.size)

    @property
    def parameters(self) -> int:
        """Two a feature."""
        return self.scale.size + self.offset.size


@dataclass(frozen=True)
class PoolNode:
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

    @property
    def phase(self) -> Phase:
        """It gathers at every step."""
        return Phase.EVERY_STEP

    @property
    def activation(self) -> Activation:
        """None."""
        return Activation.LINEAR

    @property
    def input_size(self) -> int:
        """Features that it reads."""
        return self.units

    @property
    def parameters(self) -> int:
        """None."""
        return 0


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


def _is_softmax(node: Node) -> bool:
    return not isinstance(node, LstmNode) and node.activation in (Activation.SOFTMAX, Activation.LOG_SOFTMAX)


def obeys_mask(node: Node) -> bool:
    """Whether a node does otherwise at masked steps."""
    return isinstance(node, LstmNode | PoolNode) and node.masked


@dataclass(frozen=True)
class NetworkInput:
    """An input of a model.

    Attributes:
        name: of the Keras input.
        size: features of a step, or of the vector.
        steps: time steps if the model fixes them, None if not; 0: it is a vector.
    """

    name: str
    size: int
    steps: int | None

    @property
    def is_sequence(self) -> bool:
        """Whether it has steps."""
        return self.steps != 0


@dataclass(frozen=True)
class ModelSpec:
    """A whole network: a sequence as input, maybe others beside it, nodes in the order in which they run, outputs.

    Attributes:
        name: the model's name.
        input_name: name of the Keras input that is the sequence.
        input_size: features of one step.
        steps: time steps if the model fixes them, else None.
        nodes: each reads the model's input or a node before it.
        outputs: what the Keras model returns, in its order: a node's output, or the h or c that an LSTM ends with; the
            index of a node stands for its output.
        mask_input: name of the bool Keras input that is the mask of the run, None where the model has none.
        mask_value: a step whose features are all of this value is masked, and zero for every layer (Masking); None: the
            mask is given.
        mask_refuser: name of a layer that computes otherwise where there is a mask, so that none can be given; or None.
        batch: sequences per call if the model fixes them, else None.
        beside: inputs beside the sequence, sequences too or vectors.
        one_length: sequences whose steps the model leaves open have equally many; else each has its own.
    """

    name: str
    input_name: str
    input_size: int
    steps: int | None
    nodes: tuple[Node, ...]
    outputs: tuple[int | Source, ...]
    mask_input: str | None = None
    mask_value: float | None = None
    mask_refuser: str | None = None
    batch: int | None = None
    beside: tuple[NetworkInput, ...] = ()
    one_length: bool = False

    @property
    def inputs(self) -> tuple[NetworkInput, ...]:
        """What is computed with: the sequence, then what is beside it."""
        return (NetworkInput(self.input_name, self.input_size, self.steps), *self.beside)

    @property
    def stream_size(self) -> int:
        """Features of one step of all sequences, as they lie beside each other on the device."""
        return sum(each.size for each in self.inputs if each.is_sequence)

    @property
    def static_size(self) -> int:
        """Values of all vectors, as they lie behind the sequences on the device."""
        return sum(each.size for each in self.inputs if not each.is_sequence)

    def offset_of(self, place: int) -> int:
        """Where one of `inputs` lies on the device, in floats."""
        inputs = self.inputs
        before = [each.size for each in inputs[:place] if each.is_sequence == inputs[place].is_sequence]
        return sum(before) + (0 if inputs[place].is_sequence else self.stream_size)

    @property
    def parameters(self) -> int:
        """Weights and biases of all nodes."""
        return sum(node.parameters for node in self.nodes)

    @property
    def output_names(self) -> tuple[str, ...]:
        """Names of `outputs` in OUT.npz: `output`, or `output.0`, `output.1`, ... of several."""
        if len(self.outputs) == 1:
            return ("output",)
        return tuple(f"output.{place}" for place in range(len(self.outputs)))

    @property
    def classifiers(self) -> tuple[str, ...]:
        """Names of the outputs that are classes' probabilities: those of a softmax."""
        pairs = zip(self.output_names, map(as_source, self.outputs), strict=True)
        return tuple(
            name
            for name, source in pairs
            if source.tap is Tap.OUTPUT and source.node is not None and _is_softmax(self.nodes[source.node])
        )

    @property
    def output_nodes(self) -> tuple[int, ...]:
        """Indices of the nodes whose own outputs are among `outputs`, each once, in order."""
        sources = map(as_source, self.outputs)
        return tuple(sorted({each.node for each in sources if each.tap is Tap.OUTPUT and each.node is not None}))

    @property
    def state_inputs(self) -> dict[str, tuple[str, ...]]:
        """The model's inputs that are initial states: by name, the `<layer>.h0` and `<layer>.c0` that each one is."""
        found: dict[str, tuple[str, ...]] = {}
        for _, node in self.lstm_nodes():
            for state, name in (("h0", node.h0_input), ("c0", node.c0_input)):
                if name is not None:
                    found[name] = (*found.get(name, ()), f"{node.name}.{state}")
        return found

    def state_name(self, source: Source) -> str:
        """Name in OUT.npz of the last state that a source taps."""
        assert source.node is not None
        return f"{self.nodes[source.node].name}.{'h' if source.tap is Tap.STATE_H else 'c'}_last"

    def gives_sequence(self, index: int) -> bool:
        """Whether node `index` gives a value for every step, or one behind the last step."""
        return gives_sequence(self.nodes[index])

    def lstm_nodes(self) -> Iterator[tuple[int, LstmNode]]:
        """(index, node) of every LSTM, in order."""
        for index, node in enumerate(self.nodes):
            if isinstance(node, LstmNode):
                yield index, node
