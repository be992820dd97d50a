"""Networks made at random: whatever a spec can say, the device computes as the float64 reference does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import networks
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import Node, PoolNode, ScaleNode, Source, gives_sequence
from harness.model.spec import ModelSpec, NetworkInput
from harness.oracle.reference import reference
from harness.protocol.wire import Operation, Phase, Tap
from harness.validation import run_batch

STEPS = 6
ATOL = 2e-6
"""Up to 7 layers of tanh, LSTM and products of their values behind each other: 4 times the least default tolerance."""


class Maker:
    """Adds nodes that read whatever is there: sequences of 6 steps or others, vectors, states; in any way."""

    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)
        self._nodes: list[Node] = []
        self._beside = (NetworkInput("same", 2, STEPS), NetworkInput("longer", 3, 8), NetworkInput("vector", 4, 0))
        self._sequences: list[tuple[Source, int, int]] = [  # source, values of a step, steps
            (Source(), 3, STEPS),
            (Source(input=1), 2, STEPS),
            (Source(input=2), 3, 8),
        ]
        self._vectors: list[tuple[Source, int]] = [(Source(input=3), 4)]

    def spec(self, count: int) -> ModelSpec:
        """A network of so many nodes, each of which is an output."""
        kinds = (self._lstm, self._lstm, self._dense, self._merge, self._merge, self._flatten, self._pool, self._scale)
        while len(self._nodes) < count:
            kinds[self._random.integers(len(kinds))]()
        outputs = tuple(range(count))
        return ModelSpec("random", "x", 3, STEPS, tuple(self._nodes[:count]), outputs, beside=self._beside)

    def _name(self) -> str:
        return f"n{len(self._nodes)}"

    def _one_of(self, values: list[tuple[Source, int, int]]) -> tuple[Source, int, int]:
        return values[self._random.integers(len(values))]

    def _chance(self, probability: float) -> bool:
        return bool(self._random.random() < probability)

    def _add(self, node: Node, steps: int) -> None:
        self._nodes.append(node)
        source = Source(len(self._nodes) - 1)
        if not gives_sequence(node):
            self._vectors.append((source, node.units))
            return
        self._sequences.append((source, node.units, steps))
        if node.units * steps % 4 == 0:
            self._sequences.append((replace(source, rows=4), 4, node.units * steps // 4))

    def _sequence(self) -> tuple[Source, int, int]:
        """A sequence, or a vector at each of some steps."""
        if self._chance(0.2):
            source, size = self._vectors[self._random.integers(len(self._vectors))]
            return replace(source, repeat=5), size, 5
        return self._one_of(self._sequences)

    def _lstm(self) -> None:
        source, size, steps = self._sequence()
        units, name = int(self._random.integers(1, 5)), self._name()
        fitting = [vector for vector, length in self._vectors if length == units]
        initial = (fitting[0], fitting[-1]) if fitting and self._chance(0.5) else None
        node = networks.lstm(
            size,
            units,
            replace(source, reverse=self._chance(0.4)),
            name,
            return_sequences=self._chance(0.6),
            masked=steps == STEPS and self._chance(0.7),
            zero_output_for_mask=self._chance(0.3),
            initial=initial,
        )
        self._add(node, steps)
        index = len(self._nodes) - 1
        self._vectors += [(Source(index, tap), units) for tap in (Tap.STATE_H, Tap.STATE_C) if self._chance(0.4)]

    def _dense(self) -> None:
        if self._chance(0.5):
            source, size, steps = self._sequence()
            self._add(networks.dense(size, 3, source, Phase.EVERY_STEP, self._name()), steps)
        else:
            source, size = self._vectors[self._random.integers(len(self._vectors))]
            self._add(networks.dense(size, 3, source, Phase.AFTER_LAST_STEP, self._name()), 1)

    def _merge(self) -> None:
        _, size, steps = self._one_of(self._sequences)
        # An input in both directions at one step is no network that Keras could describe.
        alike = [
            (replace(each, reverse=each.node is not None and self._chance(0.4)), length)
            for each, length, count in self._sequences
            if count == steps
        ]
        operation = Operation(int(self._random.integers(len(Operation))))
        if operation is Operation.CONCATENATE:
            chosen = [alike[self._random.integers(len(alike))] for _ in range(self._random.integers(1, 4))]
        else:
            alike = [each for each in alike if each[1] == size]
            count = 2 if operation is Operation.SUBTRACT else int(self._random.integers(2, 4))
            chosen = [alike[self._random.integers(len(alike))] for _ in range(count)]
        units = sum(length for _, length in chosen) if operation is Operation.CONCATENATE else size
        sources = (each for each, _ in chosen)
        self._add(networks.merge(operation, Phase.EVERY_STEP, units, *sources, name=self._name()), steps)

    def _pool(self) -> None:
        source, size, steps = self._sequence()
        operation = Operation.AVERAGE if self._chance(0.5) else Operation.MAXIMUM
        masked = operation is Operation.AVERAGE and steps == STEPS and self._chance(0.7)
        self._add(PoolNode(self._name(), replace(source, reverse=self._chance(0.4)), size, operation, masked), steps)

    def _scale(self) -> None:
        source, size, steps = self._sequence()
        scale, offset = self._random.standard_normal((2, size)).astype(np.float32)
        self._add(ScaleNode(self._name(), source, Phase.EVERY_STEP, scale, offset), steps)

    def _flatten(self) -> None:
        wholes = [(s, size * steps) for s, size, steps in self._sequences if s.node is not None and not s.rows]
        if wholes:
            source, total = wholes[self._random.integers(len(wholes))]
            node = networks.dense(total, 3, replace(source, rows=total), Phase.AFTER_LAST_STEP, self._name())
            self._add(node, 1)


@pytest.mark.parametrize("seed", range(40))
def test_a_random_network(device: Device, seed: int) -> None:
    spec = Maker(seed).spec(3 + seed % 6)
    inputs = random_inputs(spec, batch=2, seed=seed)
    if seed % 2:
        mask = np.random.default_rng(seed).random((2, STEPS)) < 0.6
        inputs = Inputs(x=inputs.x, beside=inputs.beside, mask=mask)
    loaded = load_model(device, spec, masked=inputs.mask is not None)
    got, _ = run_batch(device, spec, inputs, plan=loaded.image.plan)
    for name, values in reference(spec, inputs).items():
        assert got[name].shape == values.shape, name
        np.testing.assert_allclose(got[name], values, rtol=ATOL, atol=ATOL, err_msg=name)
