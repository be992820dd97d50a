"""The oracle with Keras 2 (`tf_keras`) behind it: the same agreement with float64, and the same refusals."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from agreement import agreed
from harness.errors import ModelRefused
from harness.model.inputs import random_inputs
from harness.model.nodes import ActivationNode, LstmNode
from harness.oracle.load import from_keras
from harness.oracle.runtime import KERAS_2, KERAS_3, KerasApi, api_of, keras_api
from harness.protocol.wire import Activation


@pytest.fixture(scope="module")
def keras() -> KerasApi:
    return keras_api(KERAS_2)


def test_a_model_belongs_to_its_keras(keras: KerasApi) -> None:
    of_3 = keras_api()
    assert api_of(of_3.layers.LSTM(2)).name == KERAS_3
    assert api_of(of_3.module.Sequential()).name == KERAS_3
    assert api_of(keras.module.Sequential()).name == KERAS_2
    assert api_of(type("Derived", (keras.layers.LSTM,), {})(2)).name == KERAS_2
    assert set(keras.versions()) == {"tf_keras", "tensorflow", "numpy", "TF_ENABLE_ONEDNN_OPTS"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"recurrent_activation": "hard_sigmoid"},
        {"implementation": 1},  # ignored by Keras where it could run the layer on a GPU
        {"implementation": 1, "recurrent_activation": "hard_sigmoid"},
        {"unroll": True},
        {"use_bias": False, "zero_output_for_mask": True},
        {"dropout": 0.1, "recurrent_dropout": 0.2},
    ],
    ids=str,
)
def test_values_agree_with_float64(keras: KerasApi, options: dict[str, Any]) -> None:
    layers = [
        keras.layers.Input((7, 3), name="signal"),
        keras.layers.LSTM(20, return_sequences=True, name="first", **options),
        keras.layers.LSTM(4, name="second", **options),
        keras.layers.Dense(2, activation="softmax", name="dense"),
    ]
    loaded = from_keras(keras.module.Sequential(layers))
    plain = random_inputs(loaded.spec, 5, 7)
    masked = replace(plain, mask=np.random.default_rng(1).random((5, 7)) > 0.4)
    states = {"first.h0": np.full((5, 20), 0.3, np.float32), "second.c0": np.ones((5, 4), np.float32)}
    for inputs in (plain, masked, replace(masked, initial=states)):
        assert agreed(loaded, inputs).oracle == KERAS_2


def test_a_mask_input(keras: KerasApi) -> None:
    x, mask = keras.layers.Input((None, 3), name="x"), keras.layers.Input((None,), dtype="bool", name="valid")
    loaded = from_keras(keras.module.Model([mask, x], keras.layers.LSTM(3)(x, mask=mask)))
    assert loaded.spec.mask_input == "valid"
    inputs = random_inputs(loaded.spec, 4, 6)
    agreed(loaded, replace(inputs, mask=np.random.default_rng(1).random((4, 6)) > 0.4))


def test_hard_sigmoid_is_the_one_of_keras_2(keras: KerasApi) -> None:
    layer = keras.layers.LSTM(2, recurrent_activation="hard_sigmoid")
    (node,) = from_keras(keras.module.Sequential([keras.layers.Input((None, 1)), layer])).spec.nodes
    assert isinstance(node, LstmNode)
    assert node.recurrent_activation is Activation.HARD_SIGMOID_KERAS2


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"time_major": True}, "time_major=True"),
        ({"activation": "log_softmax"}, "activation=log_softmax"),
        ({"dtype": "float64"}, "the dtype float64"),
    ],
)
def test_options_that_are_not_run(keras: KerasApi, options: dict[str, Any], names: str) -> None:
    layers = [keras.layers.Input((None, 3)), keras.layers.LSTM(2, name="named", **options)]
    with pytest.raises(ModelRefused, match=f"Layer 'named' has {names}"):
        from_keras(keras.module.Sequential(layers))


def test_layers_that_are_activations(keras: KerasApi) -> None:
    layers = keras.layers
    behind = [layers.ReLU(max_value=6), layers.LeakyReLU(alpha=0.2), layers.ELU()]
    model = keras.module.Sequential([layers.Input((4, 3)), layers.LSTM(2, return_sequences=True), *behind])
    loaded = from_keras(model)
    kinds = [node.activation for node in loaded.spec.nodes[1:] if isinstance(node, ActivationNode)]
    assert kinds == [Activation.RELU6, Activation.LEAKY_RELU, Activation.ELU]
    agreed(loaded, random_inputs(loaded.spec, 2))
    with pytest.raises(ModelRefused, match=r"alpha=0\.3"):
        from_keras(keras.module.Sequential([layers.Input((4, 3)), layers.LSTM(2), layers.LeakyReLU()]))


def test_calls_and_layers_that_are_not_run(keras: KerasApi) -> None:
    model_input = keras.layers.Input((None, 3))
    for output, names in (
        (keras.layers.LSTM(3, name="lstm")(model_input, training=True), "'lstm' has more than its input"),
        (keras.layers.LSTM(3)(model_input * 2.0), "is a TFOpLambda"),
    ):
        with pytest.raises(ModelRefused, match=names):
            from_keras(keras.module.Model(model_input, output))
