"""Weights in .npz: which arrays make which model, and what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seeds
from agreement import agreed
from harness.errors import HilError, ModelRefused
from harness.model.inputs import random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.cache import Oracle
from harness.oracle.keras_oracle import expected
from harness.oracle.load import load_model
from harness.oracle.model_file import check_model_file
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Activation


def arrays_of(spec: ModelSpec) -> dict[str, Any]:
    """The arrays of a spec of LSTMs, with all that Keras has no default for in `config`."""
    nodes = [node for _, node in spec.lstm_nodes()]
    arrays: dict[str, Any] = {}
    configs = []
    for index, node in enumerate(nodes):
        prefix = "" if len(nodes) == 1 else f"{index}."
        given = {"kernel": node.kernel, "recurrent_kernel": node.recurrent_kernel, "bias": node.bias}
        arrays |= {prefix + name: array for name, array in given.items() if array is not None}
        names = {Activation.HARD_SIGMOID: "hard_sigmoid_keras3"}
        configs.append(
            {
                "activation": names.get(node.activation, node.activation.name.lower()),
                "recurrent_activation": names.get(node.recurrent_activation, node.recurrent_activation.name.lower()),
                "return_sequences": node.return_sequences,
            }
        )
    arrays["config"] = json.dumps(configs)
    return arrays


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "lstm.npz"
    np.savez(path, **arrays)
    return path


def plain(config: Any = None, units: int = 4, input_size: int = 3, bias: bool = True) -> dict[str, Any]:
    node = seeds.random_lstm_node(input_size, units)
    arrays: dict[str, Any] = {"kernel": node.kernel, "recurrent_kernel": node.recurrent_kernel}
    if bias:
        arrays["bias"] = node.bias
    return arrays if config is None else {**arrays, "config": json.dumps(config)}


def two_layers(config: Any = None) -> dict[str, Any]:
    first, second = plain(units=4), plain(units=2, input_size=4, bias=False)
    arrays = {f"0.{name}": array for name, array in first.items()}
    arrays |= {f"1.{name}": array for name, array in second.items()}
    return arrays if config is None else {**arrays, "config": json.dumps(config)}


def refusal(path: Path) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        check_model_file(path)
    assert caught.value.remedy
    assert str(path) in caught.value.message
    return caught.value


@pytest.mark.parametrize(
    "case",
    [
        seeds.no_bias_16_32(),
        seeds.worked_example(),
        seeds.worked_example(Activation.HARD_SIGMOID),
        seeds.worked_example(Activation.HARD_SIGMOID_KERAS2),
        seeds.linear_by_hand(),
    ],
    ids=["no_bias", "worked", "hard_sigmoid_keras3", "hard_sigmoid_keras2", "linear"],
)
def test_worked_examples(tmp_path: Path, case: seeds.SeedCase) -> None:
    loaded = load_model(saved(tmp_path, **arrays_of(case.spec)))
    ((_, node),) = loaded.spec.lstm_nodes()
    for name, value in vars(case.spec.nodes[0]).items():
        np.testing.assert_array_equal(getattr(node, name), value, err_msg=name)
    assert loaded.spec.input_name == "x"
    assert agreed(loaded, case.inputs).oracle == "keras"
    tolerance = 0 if case.exact else 1e-6
    for name, array in expected(loaded, case.inputs).tensors.items():
        np.testing.assert_allclose(array, case.expected[name], rtol=0, atol=tolerance)


def test_defaults_are_those_of_keras_3(tmp_path: Path) -> None:
    loaded = load_model(saved(tmp_path, **plain()))
    (node,) = loaded.spec.nodes
    assert isinstance(node, LstmNode)
    assert (node.name, node.return_sequences, node.zero_output_for_mask) == ("lstm", False, False)
    assert (node.activation, node.recurrent_activation) == (Activation.TANH, Activation.SIGMOID)
    assert (loaded.spec.batch, loaded.spec.steps, loaded.notes) == (None, None, ())


def test_several_layers(tmp_path: Path) -> None:
    loaded = load_model(saved(tmp_path, **two_layers()))
    found = [(node.name, node.input_size, node.units, node.return_sequences) for _, node in loaded.spec.lstm_nodes()]
    assert found == [("lstm_0", 3, 4, True), ("lstm_1", 4, 2, False)]
    agreed(loaded, random_inputs(loaded.spec, 2, 5))


def test_config_of_all_layers_and_of_each(tmp_path: Path) -> None:
    for config, gates, sequences in (
        ({"recurrent_activation": "hard_sigmoid"}, [Activation.HARD_SIGMOID] * 2, [True, False]),
        (
            [{"recurrent_activation": "hard_sigmoid_keras2"}, {"return_sequences": True, "name": "top"}],
            [Activation.HARD_SIGMOID_KERAS2, Activation.SIGMOID],
            [True, True],
        ),
    ):
        loaded = load_model(saved(tmp_path, **two_layers(config)))
        nodes = [node for _, node in loaded.spec.lstm_nodes()]
        assert [node.recurrent_activation for node in nodes] == gates
        assert [node.return_sequences for node in nodes] == sequences
    assert nodes[1].name == "top"


def test_the_configuration_of_a_keras_layer_is_taken_as_it_is(tmp_path: Path) -> None:
    keras = import_keras()
    layer = keras.layers.LSTM(4, activation="linear", return_sequences=True, dropout=0.1, name="mine", unroll=False)
    keras.Sequential([keras.Input((None, 3)), layer])
    kernel, recurrent_kernel, bias = layer.get_weights()
    config = json.dumps(layer.get_config())
    path = saved(tmp_path, kernel=kernel, recurrent_kernel=recurrent_kernel, bias=bias, config=config)
    (node,) = load_model(path).spec.nodes
    assert isinstance(node, LstmNode)
    assert (node.name, node.activation, node.return_sequences) == ("mine", Activation.LINEAR, True)


def test_a_fixed_shape(tmp_path: Path) -> None:
    loaded = load_model(saved(tmp_path, **plain({"batch_input_shape": [2, 7, 3], "time_major": False})))
    assert (loaded.spec.batch, loaded.spec.steps) == (2, 7)


def test_stateful_layers_and_returned_states(tmp_path: Path) -> None:
    config = {"stateful": True, "batch_shape": [2, None, 3], "return_state": True}
    loaded = load_model(saved(tmp_path, **two_layers(config)))
    assert loaded.spec.batch == 2
    assert all(node.stateful for _, node in loaded.spec.lstm_nodes())
    agreed(loaded, random_inputs(loaded.spec, 2, 5))
    with pytest.raises(ModelRefused, match="batch size must be static") as caught:
        load_model(saved(tmp_path, **plain({"stateful": True})))
    assert "batch_shape" in caught.value.remedy


def test_what_is_said_of_the_values(tmp_path: Path) -> None:
    arrays = {name: array.astype(np.float64) for name, array in plain(bias=False).items()}
    arrays["kernel"][0, 0] = np.nan
    path = saved(tmp_path, **arrays)
    notes = (
        "'kernel' was float64 and is cast to float32",
        "'recurrent_kernel' was float64 and is cast to float32",
        "1 weights of 'lstm' are NaN or infinite",
    )
    oracle = Oracle(tmp_path / "cache")
    assert oracle.load(path).notes == notes
    assert oracle.load(path).notes == notes  # from the cache


def changed(**arrays: Any) -> dict[str, Any]:
    """One layer with arrays added, replaced, or removed by None."""
    return {name: array for name, array in {**plain(), **arrays}.items() if array is not None}


PLAIN = plain()


@pytest.mark.parametrize(
    ("arrays", "code", "message", "remedy"),
    [
        (changed(kernel=None), "weights_missing", "no array 'kernel'", "np.savez"),
        (changed(recurrent_kernel=None), "weights_missing", "no array 'recurrent_kernel'", "np.savez"),
        ({}, "weights_missing", "holds no arrays", "np.savez"),
        ({"arr_0": np.zeros(3)}, "weights_unknown", "holds 'arr_0'", "np.savez"),
        (changed(dense=np.zeros(3)), "weights_unknown", "holds 'dense'", "np.savez"),
        ({**PLAIN, "1.kernel": PLAIN["kernel"]}, "weights_missing", "neither one layer nor", "0.kernel"),
        ({f"1.{name}": array for name, array in PLAIN.items()}, "weights_missing", "neither one", "0.kernel"),
        (changed(kernel=PLAIN["kernel"].T), "weights_shape", "'kernel' has the shape (16, 3)", "get_weights"),
        (
            changed(recurrent_kernel=PLAIN["recurrent_kernel"].T),
            "weights_shape",
            "'recurrent_kernel' has the shape (16, 4)",
            "transposed",
        ),
        (changed(kernel=np.zeros((3, 12))), "weights_shape", "expected (input_size, 16)", "i, f, c, o"),
        (changed(kernel=np.zeros((0, 16))), "weights_shape", "expected (input_size, 16)", "i, f, c, o"),
        (changed(recurrent_kernel=np.zeros((0, 0))), "weights_shape", "expected (units, 4 units)", "i, f, c, o"),
        (changed(bias=np.zeros((2, 16))), "weights_shape", "'bias' has the shape (2, 16)", "sum of both"),
        (changed(bias=np.zeros(32)), "weights_shape", "'bias' has the shape (32,)", "sum of both"),
        (changed(bias=np.zeros(4)), "weights_shape", "expected (16)", "i, f, c, o"),
        (changed(kernel=PLAIN["kernel"].astype(np.complex64)), "weights_dtype", "is complex64", "float32"),
        (changed(kernel=np.full((3, 16), 1e300)), "weights_range", "beyond the range", "float32"),
        (
            {
                **two_layers(),
                **{f"1.{name}": array for name, array in plain(units=2, input_size=5, bias=False).items()},
            },
            "weights_shape",
            "'1.kernel' has the shape (5, 8); expected (4, 8)",
            "i, f, c, o",
        ),
        (plain([{}, {}]), "weights_config", "neither an object nor a list of 1", "for each"),
        (plain("text"), "weights_config", "neither an object nor a list of 1", "for each"),
        (plain({"units": 5}), "weights_config", "says units otherwise", "Leave it out"),
        (plain({"use_bias": False}), "weights_config", "says use_bias otherwise", "Leave it out"),
        (plain({"use_bias": True}, bias=False), "weights_config", "says use_bias otherwise", "Leave it out"),
        (plain({"activaton": "tanh"}), "weights_config", "has 'activaton'", "Leave it out"),
        (plain({"activation": {"class_name": "__lambda__"}}), "weights_config", "has activation=", "by name"),
        (plain({"return_sequences": "yes"}), "weights_config", "has return_sequences='yes'", "takes it"),
        (plain({"time_major": True}), "weights_config", "time_major", "first axis"),
        (plain({"dtype": "float64"}), "weights_config", "the dtype float64", "float32"),
        (plain({"batch_shape": [1, 2]}), "weights_config", "has batch_shape=[1, 2]", "null"),
        (plain({"batch_shape": [None, None, 4]}), "weights_config", "fixes 4 features", "Leave it out"),
        (two_layers({"name": "one"}), "weights_config", "names several layers 'one'", "of its own"),
        (changed(config="{"), "weights_config", "is no JSON", "json.dumps"),
        (changed(config="[" * 100_000), "weights_config", "is no JSON", "json.dumps"),
        (changed(config=np.zeros(3)), "weights_config", "not one text", "json.dumps"),
    ],
)
def test_refusals(tmp_path: Path, arrays: dict[str, Any], code: str, message: str, remedy: str) -> None:
    error = refusal(saved(tmp_path, **arrays))
    assert error.code == code
    assert message in error.message
    assert remedy in error.remedy


def test_objects_are_never_unpickled(tmp_path: Path) -> None:
    path = saved(tmp_path, **changed(kernel=np.array([{"a": 1}], dtype=object)))
    error = refusal(path)
    assert error.code == "model_damaged"
    assert "np.savez" in error.remedy
    assert "model.save" not in error.remedy


def test_an_activation_that_keras_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="cannot load") as caught:
        load_model(saved(tmp_path, **plain({"activation": "swish2"})))
    assert caught.value.code == "model_not_loadable"


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.integers(0, 8 * 4_000 - 1), min_size=1, max_size=4), cut=st.integers(0, 8_000))
def test_damaged_files(tmp_path: Path, flips: list[int], cut: int) -> None:
    content = bytearray(saved(tmp_path, **plain({"name": "a"})).read_bytes())
    for flip in flips:
        content[flip // 8 % len(content)] ^= 1 << flip % 8
    path = tmp_path / "damaged.npz"
    path.write_bytes(content[:cut] if cut < len(content) else content)
    try:
        check_model_file(path)
    except HilError as error:
        assert error.remedy  # noqa: PT017
