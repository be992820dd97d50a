"""Mistakes in the weights that are sent to the device: each has to be named from what the device then computes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.diagnosis.hypotheses import same_node
from harness.diagnosis.mutations import MUTATIONS, Mutation
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import DenseNode, LstmNode
from harness.model.pack import ModelImage, pack_model
from harness.model.spec import ModelSpec
from harness.oracle.cache import Oracle
from harness.oracle.load import LoadedModel
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Kernel
from harness.validation import Limits, Validation, validate
from harness.workbench import Workbench
from keras_models import save_model

pytestmark = pytest.mark.hil_targets("native")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A classifier with a square kernel, and what has the functions that it has not."""
    keras = import_keras()
    keras.utils.set_random_seed(11)
    layers, folder = keras.layers, tmp_path_factory.mktemp("models")
    of_training = {"bias_initializer": keras.initializers.RandomNormal(stddev=0.4), "unit_forget_bias": False}
    classifier = [
        layers.LSTM(5, return_sequences=True, name="first", **of_training),
        layers.LSTM(5, return_sequences=True, name="second", recurrent_activation="hard_sigmoid", **of_training),
        layers.Dense(3, activation="softmax", bias_initializer="random_normal", name="head"),
    ]
    linear = [layers.LSTM(5, return_sequences=True, name="first", activation="linear", **of_training)]
    made = {}
    for name, stack in (("classifier", classifier), ("linear", linear)):
        made[name] = save_model(keras.Sequential([keras.Input((None, 5)), *stack], name=name), folder)
    generator = np.random.default_rng(3)
    kernel, recurrent_kernel = generator.normal(0, 0.5, (2, 5, 20)).astype(np.float32)
    config = '{"recurrent_activation": "hard_sigmoid_keras2", "name": "first"}'
    made["keras2"] = folder / "keras2.npz"
    np.savez(made["keras2"], kernel=kernel, recurrent_kernel=recurrent_kernel, config=np.array(config))
    return made


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle(tmp_path_factory.mktemp("oracle"))


def vectors(loaded: LoadedModel) -> Inputs:
    return random_inputs(loaded.spec, batch=3, steps=7, seed=4)


def with_mistake(spec: ModelSpec, mutation: Mutation) -> ModelSpec | None:
    assert mutation.change is not None
    nodes = tuple(mutation.change(node) for node in spec.nodes)
    changed = any(not same_node(old, new) for old, new in zip(spec.nodes, nodes, strict=True))
    return replace(spec, nodes=nodes) if changed else None


def run(
    path: Path, oracle: Oracle, workbench: Workbench, monkeypatch: pytest.MonkeyPatch, sent: ModelSpec, kernel: Kernel
) -> Validation:
    """Validate with another network sent in place of the model's; what is sent alone stays right."""

    def pack_wrongly(spec: ModelSpec, *arguments: Any, **options: Any) -> ModelImage:
        return pack_model(spec if spec.name.endswith(" alone") else sent, *arguments, **options)

    monkeypatch.setattr("harness.validation.run.pack_model", pack_wrongly)
    return validate(path, vectors, workbench.device_for, Limits(), oracle, kernel=kernel)


@pytest.mark.parametrize(
    "mutation", [each for each in MUTATIONS if each.change is not None], ids=lambda each: each.name
)
def test_each_mistake_in_what_is_sent_is_named(
    paths: dict[str, Path],
    oracle: Oracle,
    hil_workbench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    mutation: Mutation,
) -> None:
    planted = ((path, with_mistake(oracle.load(path).spec, mutation)) for path in paths.values())
    path, sent = next((path, spec) for path, spec in planted if spec is not None)
    result = run(path, oracle, hil_workbench, monkeypatch, sent, Kernel.ARM_MATH)
    assert result.verdict == "FAIL"
    assert result.explanation is not None
    assert [each.name for each in result.explanation.found] == [mutation.name], result.explanation.lines


@pytest.mark.parametrize("kernel", Kernel, ids=lambda kernel: kernel.name.lower())
@pytest.mark.parametrize(
    ("layer", "array", "place"),
    [("first", "kernel", (3, 12)), ("second", "recurrent_kernel", (1, 4)), ("second", "bias", (7,))],
    ids=str,
)
def test_a_corrupted_weight_is_found(
    paths: dict[str, Path],
    oracle: Oracle,
    hil_workbench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    kernel: Kernel,
    layer: str,
    array: str,
    place: tuple[int, ...],
) -> None:
    spec = oracle.load(paths["classifier"]).spec
    nodes = []
    for node in spec.nodes:
        weights = getattr(node, array).copy() if isinstance(node, LstmNode | DenseNode) and node.name == layer else None
        if weights is not None:
            weights[place] += np.float32(0.125)
        nodes.append(node if weights is None else replace(node, **{array: weights}))
    sent = replace(spec, nodes=tuple(nodes))
    result = run(paths["classifier"], oracle, hil_workbench, monkeypatch, sent, Kernel(kernel))
    assert result.explanation is not None
    (found,) = result.explanation.found
    assert found.name == "weight_corrupted", result.explanation.lines
    assert found.weight is not None
    assert (found.weight["layer"], found.weight["array"], found.weight["column"]) == (layer, array, place[-1])
    assert found.weight["row"] == (None if array == "bias" else place[0])
