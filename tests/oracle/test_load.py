"""From Keras models to specs: what is taken over, and every refusal that needs Keras to be seen."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
import seeds
from agreement import assert_same
from harness.errors import ModelRefused
from harness.model.nodes import ActivationNode, DenseNode, LstmNode, sources_of
from harness.model.spec import ModelSpec
from harness.oracle.load import gate_parameters, load_model, model_spec
from harness.oracle.model_file import check_model_file
from harness.oracle.runtime import HARD_SIGMOID_KERAS2, import_keras, keras_api
from harness.protocol.wire import Activation, Phase


@pytest.fixture(scope="module")
def keras() -> Any:
    return import_keras()


def refusal(model: Any) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        model_spec(model)
    assert caught.value.remedy
    return caught.value


@pytest.mark.parametrize(
    "spec",
    [
        seeds.no_bias_16_32().spec,
        seeds.linear_by_hand().spec,
        seeds.worked_example(Activation.HARD_SIGMOID).spec,
        seeds.worked_example(Activation.HARD_SIGMOID_KERAS2).spec,
        seeds.rows_of_an_image(),
    ],
    ids=["no_bias", "linear", "hard_sigmoid", "hard_sigmoid_keras2", "classifier"],
)
def test_a_spec_comes_back_from_its_file(tmp_path: Path, spec: ModelSpec) -> None:
    path = keras_models.save_spec(spec, tmp_path)
    loaded = load_model(path)
    assert_same(loaded.spec, spec)
    assert loaded.sha256 == check_model_file(path).sha256
    assert loaded.spec.batch is None
    assert [layer.name for layer in loaded.layers] == [node.name for node in spec.nodes]


def test_parameters_per_gate() -> None:
    for spec, per_gate in ((seeds.rows_of_an_image(), 7800), (seeds.no_bias_16_32().spec, 48 * 32)):
        (node,) = (node for _, node in spec.lstm_nodes())
        assert gate_parameters(node) == {
            "i": per_gate,
            "f": per_gate,
            "c": per_gate,
            "o": per_gate,
            "total": 4 * per_gate,
        }


def test_a_chain_of_every_supported_layer(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((None, 3), name="signal"),
            layers.Dense(4, activation="tanh", name="first"),
            layers.LSTM(5, return_sequences=True, dropout=0.2, recurrent_dropout=0.1, name="second"),
            layers.Dropout(0.5),
            layers.Activation("softmax", name="third"),
            layers.LSTM(6, unroll=False, zero_output_for_mask=True, activation=None, name="fourth"),
            layers.Dense(2, use_bias=False, activation="hard_sigmoid", name="fifth"),
            layers.Softmax(name="sixth"),
        ]
    )
    spec = model_spec(model)
    every, after = Phase.EVERY_STEP, Phase.AFTER_LAST_STEP
    assert (spec.input_name, spec.input_size, spec.steps, spec.outputs) == ("signal", 3, None, (5,))
    assert [
        (type(node), node.name, sources_of(node)[0].node, node.phase, node.input_size, node.units)
        for node in spec.nodes
    ] == [
        (DenseNode, "first", None, every, 3, 4),
        (LstmNode, "second", 0, every, 4, 5),
        (ActivationNode, "third", 1, every, 5, 5),
        (LstmNode, "fourth", 2, every, 5, 6),
        (DenseNode, "fifth", 3, after, 6, 2),
        (ActivationNode, "sixth", 4, after, 2, 2),
    ]
    fourth = spec.nodes[3]
    assert isinstance(fourth, LstmNode)
    assert (fourth.activation, fourth.recurrent_activation) == (Activation.LINEAR, Activation.SIGMOID)
    assert (fourth.return_sequences, fourth.zero_output_for_mask) == (False, True)
    assert not fourth.kernel.flags.writeable


def test_functional_and_nested_models_are_flattened(keras: Any) -> None:
    layers = keras.layers
    inner = keras.Sequential([keras.Input((7, 4)), layers.LSTM(3, return_sequences=True, name="inner_lstm")], name="in")
    model_input = keras.Input((7, 2), name="signal")
    through = layers.LSTM(3, name="last")(inner(layers.Dense(4, name="first")(model_input)))
    functional = keras.Model([model_input], through, name="functional")
    spec = model_spec(functional)
    assert [(node.name, sources_of(node)[0].node) for node in spec.nodes] == [
        ("first", None),
        ("inner_lstm", 0),
        ("last", 1),
    ]
    assert (spec.input_name, spec.steps) == ("signal", 7)
    outer = keras.Sequential([keras.Input((7, 2), name="outer"), functional, layers.Dense(1, name="dense")])
    assert [node.name for node in model_spec(outer).nodes] == ["first", "inner_lstm", "last", "dense"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"dtype": "float64"}, "the dtype float64"),
        ({"dtype": "mixed_float16"}, "the dtype mixed_float16"),
    ],
)
def test_options_of_an_lstm_that_are_not_run(keras: Any, options: dict[str, Any], names: str) -> None:
    model_input = keras.Input(batch_shape=(1, 4, 2))
    error = refusal(keras.Model(model_input, keras.layers.LSTM(3, name="named", **options)(model_input)))
    assert error.code == "option_not_supported"
    assert f"Layer 'named' has {names}" in error.message


def one_lstm(keras: Any, *behind: Any) -> Any:
    return keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(3, return_sequences=True, name="lstm"), *behind])


def test_layers_that_are_activations(keras: Any) -> None:
    layers = keras.layers
    cases = [
        (layers.ReLU(), Activation.RELU),
        (layers.ReLU(max_value=6), Activation.RELU6),
        (layers.ReLU(negative_slope=0.2), Activation.LEAKY_RELU),
        (layers.LeakyReLU(negative_slope=0.2), Activation.LEAKY_RELU),
        (layers.ELU(), Activation.ELU),
    ]
    for layer, activation in cases:
        node = model_spec(one_lstm(keras, layer)).nodes[1]
        assert isinstance(node, ActivationNode)
        assert node.activation is activation
    refused = refusal(one_lstm(keras, layers.LeakyReLU()))
    assert "negative_slope=0.3" in refused.message
    assert "negative_slope=0.2" in (refused.remedy or "")
    assert "max_value=1, negative_slope=0" in refusal(one_lstm(keras, layers.ReLU(max_value=1))).message


def test_layers_that_are_not_run(keras: Any) -> None:
    layers = keras.layers
    for layer in (layers.Permute((2, 1)), layers.LayerNormalization(), layers.GRU(2), layers.PReLU()):
        error = refusal(one_lstm(keras, layer))
        assert error.code == "layer_not_supported"
        assert f"'{layer.name}' is a {type(layer).__name__}" in error.message
    assert "axis=-1 at every step" in refusal(one_lstm(keras, layers.Softmax())).message
    refused = refusal(one_lstm(keras, layers.Dense(2, activation="glu")))
    assert "activation=glu" in refused.message
    assert "hard_silu" in (refused.remedy or "")

    derived = type("Derived", (layers.LSTM,), {})
    assert "Derived" in refusal(one_lstm(keras, derived(2))).message


def test_calls_with_more_than_the_input(keras: Any) -> None:
    model_input = keras.Input((4, 2))
    for arguments in ({"training": True}, {"mask": keras.ops.ones((1, 4), dtype="bool")}):
        output = keras.layers.LSTM(3, name="lstm")(model_input, **arguments)
        assert "'lstm' has more than its input" in refusal(keras.Model(model_input, output)).message
    state = keras.ops.zeros((1, 3))
    output = keras.layers.LSTM(3, name="lstm")(model_input, initial_state=[state, state])
    assert refusal(keras.Model(model_input, output)).code == "option_not_supported"


def test_structures_that_are_not_run(keras: Any) -> None:
    layers = keras.layers
    first, second = keras.Input((4, 2), name="left"), keras.Input((4, 2), name="right", dtype="int32")
    lstm = layers.LSTM(2, return_sequences=True)
    one = lstm(first)
    cases = [
        (
            keras.Model([first, second], one),
            "2 inputs ('left' float32[None, 4, 2], 'right' int32[None, 4, 2])",
        ),
        (keras.Model(first, layers.Dot(axes=2, name="product")([one, first])), "'product' is a Dot"),
        (
            keras.Model(first, layers.Add(name="sum")([one, layers.LSTM(2)(first)])),
            "'sum' reads (4, 2) and (2)",
        ),
        (keras.Model(first, layers.Concatenate(axis=1, name="join")([one, one])), "'join' has axis=1"),
        (keras.Model(first, layers.Reshape((2, 2, 2), name="cut")(one)), "'cut' has target_shape=(2, 2, 2)"),
        (keras.Model(first, one * 2.0), "Multiply"),
        (keras.Model(first, lstm(one)), "Two steps of the model bear the name"),
        (keras.Sequential([layers.LSTM(3)]), "never built"),
        (keras.Sequential([keras.Input((4, 2)), layers.Dense(3)]), "no LSTM"),
        (keras.Sequential([keras.Input((4,), dtype="int32"), layers.Dropout(0.1)]), "an LSTM needs float32"),
        (lstm, "not a Sequential or Functional"),
    ]
    for model, message in cases:
        error = refusal(model)
        assert message in error.message
        assert error.code in ("structure_not_supported", "layer_not_supported", "option_not_supported")


def test_a_fixed_batch_is_kept(keras: Any, tmp_path: Path) -> None:
    model = keras.Sequential([keras.Input(batch_shape=(3, 4, 2)), keras.layers.LSTM(3)], name="fixed")
    assert load_model(keras_models.save_model(model, tmp_path)).spec.batch == 3


def test_a_compiled_model_loads(keras: Any, tmp_path: Path) -> None:
    model = one_lstm(keras)
    model.compile("adam", "mse")
    assert load_model(keras_models.save_model(model, tmp_path)).spec.nodes[0].name == "lstm"


def test_weights_that_do_not_fit_the_config(keras: Any, tmp_path: Path) -> None:
    path = keras_models.save_model(one_lstm(keras), tmp_path)
    broken = tmp_path / "broken.keras"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(broken, "w") as target:
        for name in source.namelist():
            target.writestr(name, source.read(name).replace(b'"units": 3', b'"units": 4'))
    with pytest.raises(ModelRefused, match="cannot load") as caught:
        load_model(broken)
    assert caught.value.code == "model_not_loadable"


def test_the_keras_2_hard_sigmoid_can_be_named(keras: Any) -> None:
    function = keras.saving.get_registered_object(HARD_SIGMOID_KERAS2)
    x = np.array([-3, -2.5, 0, 1, 2.5, 3, np.nan], dtype=np.float32)
    np.testing.assert_allclose(np.asarray(function(x)), [0, 0, 0.5, 0.7, 1, 1, np.nan], rtol=1e-6)


def test_versions_name_what_the_values_depend_on() -> None:
    assert set(keras_api().versions()) == {"keras", "tensorflow", "numpy", "TF_ENABLE_ONEDNN_OPTS"}
