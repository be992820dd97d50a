"""Networks that want more than one pass, as specs. NumPy only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import seeds
from harness.model.nodes import (
    ActivationNode,
    DenseNode,
    LstmNode,
    MergeNode,
    Node,
    PoolNode,
    ScaleNode,
    Source,
    SourceLike,
)
from harness.model.spec import ModelSpec, NetworkInput
from harness.protocol.wire import Activation, Operation, Phase, Tap

STEP, AFTER = Phase.EVERY_STEP, Phase.AFTER_LAST_STEP


def lstm(inputs: int, units: int, source: SourceLike, name: str, **changes: Any) -> LstmNode:
    """An LSTM with weights by its name."""
    return seeds.random_lstm_node(inputs, units, seed=sum(name.encode()), name=name, source=source, **changes)


def dense(inputs: int, units: int, source: SourceLike, phase: Phase, name: str = "dense") -> DenseNode:
    """A Dense layer, tanh."""
    generator = np.random.default_rng(inputs + units)
    kernel = generator.normal(0, 0.3, (inputs, units)).astype(np.float32)
    return DenseNode(name, source, phase, kernel, kernel[0].copy(), Activation.TANH)


def merge(operation: Operation, phase: Phase, units: int, *sources: Source, name: str = "merge") -> MergeNode:
    """A merge."""
    return MergeNode(name, sources, phase, units, operation)


def network(name: str, *nodes: Node, outputs: tuple[int, ...] | None = None, steps: int | None = None) -> ModelSpec:
    """A model of 3 features; its last node is its output."""
    return ModelSpec(name, "x", 3, steps, nodes, outputs or (len(nodes) - 1,))


def backwards() -> ModelSpec:
    """One LSTM with go_backwards, all steps returned."""
    return network("backwards", lstm(3, 4, Source(reverse=True), "back"))


def backwards_stack() -> ModelSpec:
    """go_backwards on go_backwards, and a forward one on top."""
    return network(
        "backwards_stack",
        lstm(3, 4, Source(reverse=True), "a"),
        lstm(4, 5, Source(0, reverse=True), "b"),
        lstm(5, 2, 1, "c", return_sequences=False),
    )


def halves(inputs: int, units: int, source: int | None, name: str, *, sequences: bool) -> tuple[LstmNode, LstmNode]:
    """The LSTMs of a Bidirectional. Keras gives zeros for masked steps where it returns sequences."""
    return (
        lstm(inputs, units, source, f"{name}.forward", return_sequences=sequences, zero_output_for_mask=sequences),
        lstm(
            inputs,
            units,
            Source(source, reverse=True),
            f"{name}.backward",
            return_sequences=sequences,
            zero_output_for_mask=sequences,
        ),
    )


def bidirectional(operation: Operation = Operation.CONCATENATE, *, sequences: bool = True) -> ModelSpec:
    """A Bidirectional LSTM."""
    units = 8 if operation is Operation.CONCATENATE else 4
    phase = STEP if sequences else AFTER
    merged = merge(operation, phase, units, Source(0), Source(1, reverse=sequences))
    return network("bidirectional", *halves(3, 4, None, "bi", sequences=sequences), merged)


def bidirectional_stack() -> ModelSpec:
    """Two Bidirectional LSTMs and a Dense at every step."""
    return network(
        "bidirectional_stack",
        *halves(3, 4, None, "one", sequences=True),
        merge(Operation.CONCATENATE, STEP, 8, Source(0), Source(1, reverse=True)),
        *halves(8, 3, 2, "two", sequences=True),
        merge(Operation.CONCATENATE, STEP, 6, Source(3), Source(4, reverse=True), name="merge2"),
        dense(6, 5, 5, STEP),
        ActivationNode("softmax", 6, STEP, 5, Activation.SOFTMAX),
    )


def both_halves_returned() -> ModelSpec:
    """merge_mode=None: two outputs, the second one flipped."""
    flipped = merge(Operation.CONCATENATE, STEP, 4, Source(1, reverse=True))
    return network("both", *halves(3, 4, None, "bi", sequences=True), flipped, outputs=(0, 2))


def encoder_decoder(repeat: int = 7) -> ModelSpec:
    """LSTM, RepeatVector, an LSTM that begins with the first one's states, Dense at every step."""
    return network(
        "encoder_decoder",
        lstm(3, 4, None, "encoder", return_sequences=False),
        lstm(
            4,
            4,
            Source(0, repeat=repeat),
            "decoder",
            masked=False,
            initial=(Source(0, tap=Tap.STATE_H), Source(0, tap=Tap.STATE_C)),
        ),
        dense(4, 2, 1, STEP),
    )


def bidirectional_encoder() -> ModelSpec:
    """A Bidirectional's states, joined, are what a decoder begins with."""
    states = [
        merge(Operation.CONCATENATE, AFTER, 6, Source(0, tap=tap), Source(1, tap=tap), name=tap.name)
        for tap in (Tap.STATE_H, Tap.STATE_C)
    ]
    return network(
        "bidirectional_encoder",
        *halves(3, 3, None, "bi", sequences=False),
        *states,
        lstm(6, 6, Source(2, repeat=5), "decoder", masked=False, initial=(Source(2), Source(3))),
    )


def flatten(steps: int = 6) -> ModelSpec:
    """All steps of an LSTM as one vector."""
    return network(
        "flatten",
        lstm(3, 4, None, "lstm"),
        dense(4 * steps, 5, Source(0, rows=4 * steps), AFTER),
        steps=steps,
    )


def reshape(steps: int = 6) -> ModelSpec:
    """A sequence of 6 x 4 cut anew into 8 x 3 and into 2 x 12, and a vector into 3 x 2."""
    return network(
        "reshape",
        lstm(3, 4, None, "lstm"),
        lstm(3, 2, Source(0, rows=3), "wide", masked=False),
        lstm(12, 3, Source(0, rows=12, reverse=True), "narrow", masked=False, return_sequences=False),
        dense(3, 6, 2, AFTER),
        lstm(2, 2, Source(3, rows=2), "vector", masked=False),
        steps=steps,
    )


def merges() -> ModelSpec:
    """Every operation on two or three sources, at steps and after the last one."""
    two = (Source(0), Source(1))
    nodes: list[Node] = [lstm(3, 4, None, "a"), lstm(3, 4, None, "b"), lstm(3, 4, Source(reverse=True), "c")]
    for operation in Operation:
        units = 8 if operation is Operation.CONCATENATE else 4
        nodes.append(merge(operation, STEP, units, *two, name=f"{operation.name}_2"))
    nodes += [
        merge(operation, AFTER, 4, *two, Source(2), name=f"{operation.name}_3")
        for operation in (Operation.ADD, Operation.MULTIPLY, Operation.AVERAGE, Operation.MAXIMUM, Operation.MINIMUM)
    ]
    return network("merges", *nodes, outputs=tuple(range(3, len(nodes))))


def residual() -> ModelSpec:
    """Forward only: an LSTM whose output is added to what it reads. One pass."""
    return network(
        "residual",
        lstm(3, 4, None, "a"),
        lstm(4, 4, 0, "b"),
        merge(Operation.ADD, STEP, 4, Source(0), Source(1)),
        lstm(4, 2, 2, "c", return_sequences=False),
        dense(2, 3, 3, AFTER),
    )


def several_inputs() -> ModelSpec:
    """A sequence, one of equally many steps, one of other steps, and a vector that is read in every way."""
    return ModelSpec(
        "several_inputs",
        "x",
        3,
        6,
        (
            merge(Operation.CONCATENATE, STEP, 5, Source(), Source(input=1), name="joined"),
            lstm(5, 4, 0, "first"),
            lstm(2, 4, Source(input=2, reverse=True), "other", masked=False, return_sequences=False),
            lstm(
                4, 3, Source(input=3, repeat=6), "of_vector", masked=False, initial=(Source(input=4), Source(input=4))
            ),
            merge(Operation.CONCATENATE, STEP, 7, Source(1), Source(3), name="both"),
            merge(Operation.CONCATENATE, AFTER, 8, Source(2), Source(input=3), name="last"),
            dense(8, 3, 5, AFTER),
        ),
        (4, 6),
        beside=(
            NetworkInput("same", 2, 6),
            NetworkInput("longer", 2, None),
            NetworkInput("vector", 4, 0),
            NetworkInput("state", 3, 0),
        ),
    )


def pools_and_scales() -> ModelSpec:
    """The average and the maximum of all steps, forwards and backwards, scaled before and behind."""
    generator = np.random.default_rng(1)
    two = [generator.normal(size=4).astype(np.float32) for _ in range(2)]
    return network(
        "pools",
        lstm(3, 4, None, "first"),
        ScaleNode("scale", 0, STEP, *two),
        PoolNode("mean", 1, 4, Operation.AVERAGE, masked=True),
        PoolNode("mean_of_all", 1, 4, Operation.AVERAGE),
        PoolNode("largest", Source(1, reverse=True), 4, Operation.MAXIMUM),
        merge(Operation.CONCATENATE, AFTER, 12, Source(2), Source(3), Source(4), name="all"),
        ScaleNode("scale_of_mean", 2, AFTER, *two),
        lstm(4, 2, Source(4, repeat=3), "again", masked=False),
        outputs=(1, 2, 5, 6, 7),
    )


def with_fixed_steps(spec: ModelSpec, steps: int) -> ModelSpec:
    """The same network with a number of steps of its own."""
    return replace(spec, steps=steps)


ALL: dict[str, Callable[[], ModelSpec]] = {
    "backwards": backwards,
    "backwards stack": backwards_stack,
    **{
        f"bidirectional {operation.name.lower()}": lambda operation=operation: bidirectional(operation)  # type: ignore[misc]
        for operation in (Operation.CONCATENATE, Operation.ADD, Operation.MULTIPLY, Operation.AVERAGE)
    },
    "bidirectional last": lambda: bidirectional(sequences=False),
    "bidirectional sum of last": lambda: bidirectional(Operation.ADD, sequences=False),
    "bidirectional stack": bidirectional_stack,
    "both halves": both_halves_returned,
    "encoder decoder": encoder_decoder,
    "bidirectional encoder": bidirectional_encoder,
    "flatten": flatten,
    "reshape": reshape,
    "merges": merges,
    "residual": residual,
    "several inputs": several_inputs,
    "pools and scales": pools_and_scales,
}
"""Every network by a name for test ids."""
