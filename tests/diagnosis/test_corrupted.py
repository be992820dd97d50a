"""One weight has another value: which one, and which value, is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

import seeds
from harness.diagnosis.corrupted import find_corrupted_weight
from harness.diagnosis.explain import Explanation, explain
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import ActivationNode, DenseNode, Node
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.wire import Activation, Phase
from planted import cases, one_lstm


def values_with(
    spec: ModelSpec, inputs: Inputs, index: int, array: str, weight: tuple[int, ...], change: Callable[[float], float]
) -> dict[str, Float32Array]:
    """What a float32 program gives whose weight has another value."""
    weights = getattr(spec.nodes[index], array).copy()
    weights[weight] = change(float(weights[weight]))
    nodes = list(spec.nodes)
    nodes[index] = replace(nodes[index], **{array: weights})
    tensors = reference(replace(spec, nodes=tuple(nodes)), inputs, np.float32)
    return {name: np.asarray(values, np.float32) for name, values in tensors.items()}


def flipped(value: float, bit: int) -> float:
    return float((np.array([value], np.float32).view(np.uint32) ^ np.uint32(1 << bit)).view(np.float32)[0])


def searched(spec: ModelSpec, inputs: Inputs, values: dict[str, Float32Array]) -> Explanation:
    return explain(spec, inputs, values, search=find_corrupted_weight)


CASES = list(cases())


@pytest.mark.parametrize("array", ["kernel", "recurrent_kernel", "bias"])
@pytest.mark.parametrize(
    "case", range(len(CASES)), ids=[f"{number} {spec.name}" for number, (spec, _) in enumerate(CASES)]
)
def test_it_is_found_in_every_kind_of_network(case: int, array: str) -> None:
    spec, inputs = CASES[case]
    generator = np.random.default_rng(case)
    index, node = list(spec.lstm_nodes())[-1]
    weight = tuple(int(generator.integers(size)) for size in getattr(node, array).shape)
    values = values_with(spec, inputs, index, array, weight, lambda value: value + 0.25)
    explanation = searched(spec, inputs, values)
    (found,) = explanation.found
    assert found.name == "weight_corrupted", explanation.lines
    assert found.weight is not None
    place = (found.weight["row"], found.weight["column"]) if array != "bias" else (found.weight["column"],)
    assert (found.weight["layer"], found.weight["array"], place) == (node.name, array, weight)
    assert found.weight["got"] == pytest.approx(float(getattr(node, array)[weight]) + 0.25, rel=1e-4)


@pytest.mark.parametrize("bit", [31, 30, 25, 24, 23, 22, 19, 16])
def test_a_flipped_bit_is_named(bit: int) -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=8, seed=2)
    values = values_with(spec, inputs, 0, "recurrent_kernel", (2, 8), lambda value: flipped(value, bit))
    explanation = searched(spec, inputs, values)
    (found,) = explanation.found
    assert found.weight is not None, explanation.lines
    assert (found.weight["row"], found.weight["column"], found.weight["bit"]) == (2, 8, bit)
    assert (found.weight["gate"], found.weight["unit"]) == ("f", 3)
    assert f"bit {bit} of it flipped" in found.sentence


def test_a_bit_that_cannot_be_told_from_another_is_not_named() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=8, seed=2)
    values = values_with(spec, inputs, 0, "recurrent_kernel", (2, 8), lambda value: flipped(value, 28))
    (found,) = searched(spec, inputs, values).found
    assert found.weight is not None
    assert (found.weight["row"], found.weight["column"], found.weight["bit"]) == (2, 8, None)
    assert abs(found.weight["got"]) < 1e-6


@pytest.mark.parametrize("size", [1.0, 0.1, 0.01, 0.001])
def test_a_large_layer_takes_no_longer_than_a_person_waits(size: float) -> None:
    spec = seeds.rows_of_an_image()
    inputs = random_inputs(spec, batch=8, steps=28, seed=2)
    values = values_with(spec, inputs, 0, "kernel", (9, 210), lambda value: value + size)
    (found,) = searched(spec, inputs, values).found
    assert found.weight is not None
    assert (found.weight["row"], found.weight["column"]) == (9, 210)


def test_one_wrong_value_is_no_wrong_weight() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=8, seed=2)
    values = values_with(spec, inputs, 0, "kernel", (0, 0), lambda value: value)
    values["lstm.c"][1, 7, 2] += 0.5
    explanation = searched(spec, inputs, values)
    assert explanation.found == ()


def test_two_wrong_weights_are_not_taken_for_one() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=8, seed=2)
    node = seeds.random_lstm_node(3, 5, 4, scale=1.5)
    changed = replace(spec, nodes=(replace(node, kernel=node.kernel + np.eye(3, 20, 4, dtype=np.float32)),))
    values = values_with(changed, inputs, 0, "kernel", (0, 7), lambda value: value + 0.3)
    assert searched(spec, inputs, values).found == ()


def test_without_every_step_nothing_is_claimed() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=8, seed=2)
    values = values_with(spec, inputs, 0, "kernel", (0, 7), lambda value: value + 0.3)
    assert searched(spec, inputs, {"output": values["output"]}).found == ()


@pytest.mark.parametrize("array", ["kernel", "bias"])
@pytest.mark.parametrize("functions", ["tanh", "linear", "softmax", "sigmoid, linear", "linear, softmax"])
@pytest.mark.parametrize("phase", [Phase.EVERY_STEP, Phase.AFTER_LAST_STEP])
def test_a_weight_of_the_head_is_found(array: str, functions: str, phase: Phase) -> None:
    generator = np.random.default_rng(3)
    lstm = replace(seeds.random_lstm_node(3, 5, 4), return_sequences=phase is Phase.EVERY_STEP)
    kernel, bias = generator.normal(0, 1, (5, 4)).astype(np.float32), generator.normal(0, 1, 4).astype(np.float32)
    first, *others = (Activation[name.upper()] for name in functions.split(", "))
    nodes: list[Node] = [lstm, DenseNode("head", 0, phase, kernel, bias, first)]
    nodes += [ActivationNode("behind", 1, phase, 4, other) for other in others]
    spec = ModelSpec("head", "x", 3, None, tuple(nodes), (len(nodes) - 1,))
    inputs = random_inputs(spec, batch=6, steps=5, seed=2)
    place = (2, 1) if array == "kernel" else (1,)
    values = values_with(spec, inputs, 1, array, place, lambda value: value - 0.7)
    explanation = searched(spec, inputs, values)
    (found,) = explanation.found
    assert found.name == "weight_corrupted", explanation.lines
    assert found.weight is not None
    assert (found.weight["layer"], found.weight["array"], found.weight["column"]) == ("head", array, 1)
    assert found.weight["row"] == (2 if array == "kernel" else None)
    assert found.weight["got"] == pytest.approx(found.weight["expected"] - 0.7, abs=1e-3)
    outputs = {"output": values["output"]}
    assert [each.name for each in searched(spec, inputs, outputs).found] == ["weight_corrupted"]
