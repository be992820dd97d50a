"""Models with a bool input for the `mask=` of LSTM layers: what Keras makes of it, and what is refused.

In Keras a mask that one call is given travels on with its output: an LSTM behind one that obeys it obeys it too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
import seeds
from agreement import agreed, load
from harness.errors import InputsRefused, ModelRefused
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.keras_oracle import expected
from harness.oracle.load import LoadedModel, from_keras, load_model, model_spec
from harness.oracle.runtime import import_keras, quiet

STEPS = 6
GENERATOR = np.random.default_rng(1)
INPUTS = Inputs(
    x=GENERATOR.standard_normal((3, STEPS, 2)).astype(np.float32),
    mask=np.array([[True, False, True, True, False, False], [False, True, False, False, True, True], [False] * STEPS]),
)

Build = Callable[[Any, Any, Any], Any]
"""(keras.layers, x, mask) -> the model's output."""


@pytest.fixture(scope="module")
def keras() -> Any:
    return import_keras()


def functional(keras: Any, build: Build, *, x: Any = None, mask: Any = None) -> Any:
    x = keras.Input((None, 2), name="signal") if x is None else x
    mask = keras.Input((None,), dtype="bool", name="valid") if mask is None else mask
    with quiet():  # Keras believes that a model inside a model destroys a mask
        return keras.Model([x, mask], build(keras.layers, x, mask), name="masked")


def masked(spec: ModelSpec) -> list[bool]:
    return [node.masked for _, node in spec.lstm_nodes()]


def saved(model: Any, folder: Path) -> LoadedModel:
    return load_model(keras_models.save_model(model, folder))


def stack(*obeying: bool, **options: Any) -> ModelSpec:
    """Two LSTMs, the mask of the run obeyed by those that are told to."""
    nodes = (
        seeds.random_lstm_node(2, 4, 1, name="first", masked=obeying[0], **options),
        seeds.random_lstm_node(4, 3, 2, name="second", masked=obeying[1], source=0, **options),
    )
    return ModelSpec("stack", "signal", 2, None, nodes, (1,), mask_input="valid")


@pytest.mark.parametrize("zero_output", [False, True], ids=["repeats", "zeros"])
@pytest.mark.parametrize("obeying", [(False, True), (True, True)], ids=["second", "both"])
def test_stacks_agree_with_float64(tmp_path: Path, obeying: tuple[bool, bool], zero_output: bool) -> None:
    spec = stack(*obeying, zero_output_for_mask=zero_output)
    loaded = load(spec, tmp_path)
    assert loaded.spec.mask_input == "valid"
    assert masked(loaded.spec) == list(obeying)
    got = agreed(loaded, INPUTS).tensors
    of_all_steps = agreed(loaded, replace(INPUTS, mask=np.ones((3, STEPS), dtype=bool))).tensors
    assert np.array_equal(got["first.h"], of_all_steps["first.h"]) is not obeying[0]
    assert not got["second.h"][2].any()
    assert np.array_equal(got["second.h"][0, 4], got["second.h"][0, 3]) is not zero_output


def test_initial_states_beside_a_mask_input(tmp_path: Path) -> None:
    initial = {"first.c0": np.full((3, 4), 0.5, np.float32), "second.h0": np.full((3, 3), -0.5, np.float32)}
    got = agreed(load(stack(False, True), tmp_path), replace(INPUTS, initial=initial)).tensors
    np.testing.assert_array_equal(got["second.h_last"][2], initial["second.h0"][2])
    assert (got["first.c"][2, 0] != initial["first.c0"][2]).all()


def test_random_inputs_count_at_every_step(tmp_path: Path) -> None:
    loaded = load(stack(True, True), tmp_path)
    got = agreed(loaded, random_inputs(loaded.spec, 2, 5)).tensors
    without = replace(loaded.spec, mask_input=None)
    (tmp_path / "without").mkdir()
    alone = agreed(load(without, tmp_path / "without"), random_inputs(without, 2, 5)).tensors
    np.testing.assert_array_equal(got["output"], alone["output"])


def lstm(layers: Any, units: int = 3) -> Any:
    return layers.LSTM(units, return_sequences=True)


def inner(keras: Any, *layers: Any) -> Any:
    return keras.Sequential([keras.Input((None, 3)), *layers], name="inner")


TRAVELS: dict[str, tuple[Build, list[bool]]] = {
    "to the next": (lambda layers, x, mask: lstm(layers)(lstm(layers)(x, mask=mask)), [True, True]),
    "past mask=None": (lambda layers, x, mask: lstm(layers)(lstm(layers)(x, mask=mask), mask=None), [True, True]),
    "through Dropout": (
        lambda layers, x, mask: lstm(layers)(layers.Dropout(0.5)(lstm(layers)(x, mask=mask))),
        [True, True],
    ),
    "through Dense and Activation": (
        lambda layers, x, mask: lstm(layers)(layers.Activation("tanh")(layers.Dense(3)(lstm(layers)(x, mask=mask)))),
        [True, True],
    ),
    "never back": (
        lambda layers, x, mask: lstm(layers)(lstm(layers)(lstm(layers)(x), mask=mask)),
        [False, True, True],
    ),
    "into a model and out of it": (
        lambda layers, x, mask: lstm(layers)(inner(import_keras(), lstm(layers))(lstm(layers)(x, mask=mask))),
        [True, True, True],
    ),
    "into a model as its mask": (
        lambda layers, x, mask: lstm(layers)(inner(import_keras(), lstm(layers))(lstm(layers)(x), mask=mask)),
        [False, True, True],
    ),
    "not into a model before": (
        lambda layers, x, mask: lstm(layers)(inner(import_keras(), lstm(layers))(lstm(layers)(x)), mask=mask),
        [False, False, True],
    ),
    "by place": (lambda layers, x, mask: layers.LSTM(3)(x, None, mask), [True]),
    "by name": (lambda layers, x, mask: layers.LSTM(3)(sequences=x, mask=mask), [True]),
}


@pytest.mark.parametrize("where", TRAVELS)
def test_where_a_mask_travels(keras: Any, tmp_path: Path, where: str) -> None:
    build, obeying = TRAVELS[where]
    loaded = saved(functional(keras, build), tmp_path)
    assert masked(loaded.spec) == obeying
    agreed(loaded, INPUTS)


def test_a_classifier_with_softmax_behind_the_last_step(keras: Any, tmp_path: Path) -> None:
    def build(layers: Any, x: Any, mask: Any) -> Any:
        return layers.Softmax()(layers.Dense(4)(layers.LSTM(3)(x, mask=mask)))

    assert agreed(saved(functional(keras, build), tmp_path), INPUTS).tensors["output"].shape == (3, 4)


@pytest.mark.parametrize("given", ["list", "dict"])
def test_a_whole_model_with_a_mask_input_inside_another(keras: Any, tmp_path: Path, given: str) -> None:
    whole = functional(keras, lambda layers, x, mask: lstm(layers)(lstm(layers)(x), mask=mask))
    x, mask = keras.Input((None, 2), name="outer_x"), keras.Input((None,), dtype="bool", name="outer_mask")
    value = whole([x, mask] if given == "list" else {"signal": x, "valid": mask})
    loaded = saved(keras.Model([x, mask], lstm(keras.layers)(value), name="outer"), tmp_path)
    assert (loaded.spec.mask_input, masked(loaded.spec)) == ("outer_mask", [False, True, True])
    agreed(loaded, INPUTS)


@pytest.mark.parametrize("order", ["mask first", "dict", "unsorted dict"])
def test_the_order_of_the_inputs_is_the_models(keras: Any, tmp_path: Path, order: str) -> None:
    x_name, mask_name = ("signal", "valid") if order == "unsorted dict" else ("z", "a")
    x, mask = keras.Input((None, 2), name=x_name), keras.Input((None,), dtype="bool", name=mask_name)
    output = keras.layers.LSTM(3, name="lstm")(x, mask=mask)
    inputs = [mask, x] if order == "mask first" else {mask_name: mask, x_name: x}
    loaded = saved(keras.Model(inputs, output, name="ordered"), tmp_path)
    assert (loaded.spec.input_name, loaded.spec.mask_input) == (x_name, mask_name)
    agreed(loaded, INPUTS)


def test_sizes_that_only_one_input_fixes(keras: Any) -> None:
    x, mask = keras.Input((None, 2)), keras.Input(batch_shape=(3, STEPS), dtype="bool", name="valid")
    loaded = from_keras(functional(keras, lambda layers, x, mask: layers.LSTM(3)(x, mask=mask), x=x, mask=mask))
    assert (loaded.spec.steps, loaded.spec.batch) == (STEPS, 3)
    agreed(loaded, INPUTS)


def test_no_mask_for_the_mask_input(tmp_path: Path) -> None:
    loaded = load(stack(True, True), tmp_path)
    with pytest.raises(InputsRefused, match="no mask for 'valid'") as caught:
        expected(loaded, replace(INPUTS, mask=None))
    assert caught.value.code == "inputs_missing"


REFUSED: dict[str, tuple[Build, str]] = {
    "computed with": (lambda layers, x, mask: layers.LSTM(3, name="named")(x, mask=~mask), "is a keras.ops.LogicalNot"),
    "of a softmax": (
        lambda layers, x, mask: layers.Softmax(name="named")(lstm(layers)(x, mask=mask)),
        "'named' has the input 'valid' as its mask",
    ),
    "of nothing": (lambda layers, x, mask: layers.LSTM(3)(x), "'valid' of model 'masked' is bool, and no LSTM"),
    "and a state": (
        lambda layers, x, mask: layers.LSTM(2, name="named")(x, [x[:, 0], x[:, 1]], mask),
        "is a keras.ops.GetItem",
    ),
    "and training": (
        lambda layers, x, mask: layers.LSTM(2, name="named")(x, mask=mask, training=True),
        "'named' has more than its input",
    ),
}


@pytest.mark.parametrize("use", REFUSED)
def test_other_uses_of_a_bool_input(keras: Any, use: str) -> None:
    build, message = REFUSED[use]
    assert message in refusal(functional(keras, build)).message


def test_other_inputs(keras: Any) -> None:
    build: Build = lambda layers, x, mask: layers.LSTM(3)(x, mask=mask)  # noqa: E731
    wide = keras.Input((None, 1), dtype="bool", name="valid")
    assert (
        "'valid' of model 'm' is bool[None, None, 1]"
        in refusal(keras.Model([x := keras.Input((None, 2)), wide], keras.layers.LSTM(3)(x), name="m")).message
    )
    number = keras.Input((None,), dtype="int32", name="valid")
    two = "has 2 inputs ('signal' float32[None, None, 2], 'valid' int32[None, None])"
    assert two in refusal(functional(keras, build, mask=number)).message
    three = [keras.Input((4, 2), name="x"), *(keras.Input((4,), dtype="bool", name=name) for name in "ab")]
    assert "has 3 inputs ('x'" in refusal(keras.Model(three, build(keras.layers, three[0], three[1]))).message
    only = keras.Input((4,), dtype="bool")
    assert "The input of model 'only' is bool[None, 4]" in refusal(keras.Model(only, only, name="only")).message


def refusal(model: Any) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        model_spec(model)
    assert caught.value.remedy
    return caught.value


def test_without_a_mask_input_every_lstm_obeys(keras: Any) -> None:
    spec = model_spec(keras_models.keras_model(replace(stack(True, True), mask_input=None)))
    assert spec.mask_input is None
    assert all(isinstance(node, LstmNode) and node.masked for node in spec.nodes)
