"""A network as a list of nodes, between Keras on one side and the device on the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from harness.model.nodes import LstmNode, Node, Source, as_source, gives_sequence, is_softmax
from harness.protocol.wire import Tap


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
            if source.tap is Tap.OUTPUT and source.node is not None and is_softmax(self.nodes[source.node])
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
