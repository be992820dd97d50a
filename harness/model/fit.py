"""Whether a model fits a chip, and what it costs there: worked out from the model alone, no device is asked."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from harness.model.memory import Memory
from harness.model.nodes import (
    GATES,
    ActivationNode,
    DenseNode,
    LstmNode,
    MergeNode,
    Node,
    PoolNode,
    ScaleNode,
    sources_of,
)
from harness.model.pack import ModelImage, pack_model
from harness.model.spec import ModelSpec
from harness.protocol.wire import Kernel, Phase

_FLOAT_BYTES = 4
_KINDS: dict[type, str] = {
    LstmNode: "LSTM",
    DenseNode: "Dense",
    ActivationNode: "Activation",
    MergeNode: "merge",
    ScaleNode: "scale",
    PoolNode: "pool",
}


@dataclass(frozen=True)
class LayerCost:
    """One layer of a model.

    Attributes:
        name: the Keras layer's name.
        kind: LSTM, Dense, ...
        input_size: features that it reads.
        units: features that it gives.
        macs: multiplications and additions each time it runs.
        runs: how often it runs in a run of the model's steps.
        parameters: by gate (i, f, c, o) of an LSTM; always with `total`.
        options: what is particular to it, as a person would say it.
    """

    name: str
    kind: str
    input_size: int
    units: int
    macs: int
    runs: int
    parameters: dict[str, int]
    options: tuple[str, ...]


@dataclass(frozen=True)
class Fit:
    """A model beside a memory.

    Attributes:
        spec: the model.
        image: its image, for `steps` steps.
        memory: what there is.
        steps: time steps of a run.
    """

    spec: ModelSpec
    image: ModelImage
    memory: Memory
    steps: int

    @property
    def place(self) -> str | None:
        """Where the weights run from: RAM where they fit, else flash; None: they fit nowhere."""
        if self.memory.holds_in_ram(self.image):
            return "RAM"
        return "flash" if self.memory.holds_in_flash(self.image) else None

    @cached_property
    def layers(self) -> tuple[LayerCost, ...]:
        """What each layer costs."""
        return tuple(self._layer(index, node) for index, node in enumerate(self.spec.nodes))

    @property
    def macs(self) -> int:
        """Multiplications and additions of a whole run."""
        return sum(layer.macs * layer.runs for layer in self.layers)

    @property
    def weight_bytes_read(self) -> int:
        """Bytes of weights that a whole run reads, each time that they are read."""
        return sum(layer.parameters["total"] * layer.runs for layer in self.layers) * _FLOAT_BYTES

    def _layer(self, index: int, node: Node) -> LayerCost:
        each_step = node.phase is Phase.EVERY_STEP
        return LayerCost(
            name=node.name,
            kind=_KINDS[type(node)],
            input_size=node.input_size,
            units=node.units,
            macs=macs_of(node),
            runs=self.image.plan.steps_of(index, self.steps) if each_step else 1,
            parameters=_parameters(node),
            options=tuple(_options(node)),
        )


def fit(spec: ModelSpec, memory: Memory, steps: int, kernel: Kernel) -> Fit:
    """Lay a model out beside a memory.

    Args:
        spec: the model.
        memory: what there is.
        steps: time steps of a run, where the model leaves them open.
        kernel: what computes the LSTMs.

    Raises:
        ModelRefused: more layers than an image holds, or a matrix too large for the engine.
    """
    steps = steps if spec.steps is None else spec.steps
    return Fit(spec, pack_model(spec, steps, kernel=kernel), memory, steps)


def macs_of(node: Node) -> int:
    """Multiplications and additions each time that a node runs."""
    if isinstance(node, LstmNode):
        return len(GATES) * node.units * (node.input_size + node.units)
    if isinstance(node, ScaleNode):
        return node.units
    return node.input_size * node.units if isinstance(node, DenseNode) else 0


def _parameters(node: Node) -> dict[str, int]:
    by_gate = dict.fromkeys(GATES, node.parameters // len(GATES)) if isinstance(node, LstmNode) else {}
    return {**by_gate, "total": node.parameters}


def _options(node: Node) -> Iterator[str]:
    if isinstance(node, MergeNode | PoolNode):
        yield node.operation.name.lower()
        return
    yield f"activation {node.activation.name.lower()}"
    if isinstance(node, LstmNode):
        yield f"recurrent_activation {node.recurrent_activation.name.lower()}"
        if node.return_sequences:
            yield "return_sequences"
        if node.zero_output_for_mask:
            yield "zero_output_for_mask"
        if not node.masked:
            yield "no mask reaches it"
        if node.initial is not None:
            yield "begins with another layer's state"
    if isinstance(node, LstmNode | DenseNode) and node.bias is None:
        yield "no bias"
    if any(source.reverse for source in sources_of(node)):
        yield "reads backwards"
