"""Networks in which every mistake of the table makes a difference, and values with it in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

import networks
import seeds
from harness.diagnosis.hypotheses import Hypothesis, hypotheses
from harness.diagnosis.mutations import MUTATIONS
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import ActivationNode, DenseNode
from harness.model.spec import ModelSpec
from harness.protocol.wire import Activation, Phase


@dataclass(frozen=True)
class Planted:
    """A right network, and a mistake in it."""

    spec: ModelSpec
    inputs: Inputs
    mistake: Hypothesis

    @property
    def values(self) -> dict[str, Float32Array]:
        """What a float32 program with the mistake gives."""
        tensors = self.mistake.tensors(np.float32)
        return {name: np.asarray(array, dtype=np.float32) for name, array in tensors.items()}

    def __str__(self) -> str:
        return f"{self.mistake.name} in {self.mistake.layer or 'all'}, {self.spec.name}"


def classifier() -> ModelSpec:
    """A square LSTM, another one of its shape, a Dense and a softmax; all weights random."""
    generator = np.random.default_rng(5)
    lstms = [
        seeds.random_lstm_node(6, 6, seed, name=name, source=source, scale=1.5)
        for seed, name, source in ((1, "first", None), (2, "second", 0))
    ]
    lstms = [replace(node, bias=generator.normal(0, 0.4, 24).astype(np.float32)) for node in lstms]
    lstms[1] = replace(lstms[1], recurrent_activation=Activation.HARD_SIGMOID)
    kernel = generator.normal(0, 0.5, (6, 3)).astype(np.float32)
    head = DenseNode("head", 1, Phase.EVERY_STEP, kernel, kernel[0].copy(), Activation.TANH)
    softmax = ActivationNode("softmax", 2, Phase.EVERY_STEP, 3, Activation.SOFTMAX)
    return ModelSpec("classifier", "x", 6, None, (*lstms, head, softmax), (3,))


def one_lstm(gate: Activation = Activation.SIGMOID, activation: Activation = Activation.TANH) -> ModelSpec:
    """One LSTM of 3 inputs and 5 units."""
    node = seeds.random_lstm_node(3, 5, 4, scale=1.5, recurrent_activation=gate, activation=activation)
    return replace(seeds.random_lstm(3, 5), name=f"{gate.name.lower()}_{activation.name.lower()}", nodes=(node,))


def stateful() -> tuple[ModelSpec, Inputs]:
    """Calls that carry their state on, and resets between them."""
    spec = one_lstm()
    node = seeds.random_lstm_node(3, 5, 4, stateful=True)
    x = np.random.default_rng(4).normal(size=(4, 2, 5, 3)).astype(np.float32)
    return replace(spec, name="stateful", nodes=(node,)), Inputs(x, reset_before=np.array([True, False, True, False]))


def cases() -> Iterator[tuple[ModelSpec, Inputs]]:
    """Every kind of network that a mistake may be in."""
    spec = classifier()
    inputs = random_inputs(spec, batch=4, steps=7, seed=1)
    yield spec, inputs
    yield spec, replace(inputs, mask=np.random.default_rng(2).random((4, 7)) < 0.6)
    gates = (Activation.SIGMOID, Activation.HARD_SIGMOID, Activation.HARD_SIGMOID_KERAS2)
    for spec in (*(one_lstm(gate) for gate in gates), one_lstm(activation=Activation.LINEAR)):
        yield spec, random_inputs(spec, batch=3, steps=6, seed=2)
    spec = one_lstm()
    generator = np.random.default_rng(6)
    states = {f"lstm.{state}": generator.normal(size=(2, 5)).astype(np.float32) for state in ("h0", "c0")}
    yield spec, replace(random_inputs(spec, batch=2, steps=4, seed=3), initial=states)
    yield stateful()
    for spec in (networks.bidirectional(), networks.encoder_decoder()):
        yield spec, random_inputs(spec, batch=3, steps=6, seed=5)


def all_planted() -> Iterator[Planted]:
    """Every mistake at every kind of place, in the first network that has room for it."""
    seen = set()
    for spec, inputs in cases():
        for mistake in hypotheses(spec, inputs):
            kind = mistake.name, mistake.layer is None
            if kind not in seen:
                seen.add(kind)
                yield Planted(spec, inputs, mistake)


NAMES = [mutation.name for mutation in MUTATIONS]
