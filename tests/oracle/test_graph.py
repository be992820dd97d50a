"""Models that are no chain: branches, several outputs, returned states, initial states as inputs, models in models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
from agreement import agreed
from harness.errors import ModelRefused
from harness.model.inputs import random_inputs
from harness.model.nodes import LstmNode, Source, sources_of
from harness.oracle.load import LoadedModel, from_keras, load_model, model_spec
from harness.oracle.runtime import KERAS_2, import_keras
from harness.protocol.wire import Tap
from keras_graphs import decoder, encoder_decoder, two_heads

Build = Callable[[Any], Any]
"""(keras) -> a model."""

MASK = np.array([[True, True, True, False, False], [False, True, False, True, True], [False] * 5])


@pytest.fixture(scope="module")
def keras() -> Any:
    return import_keras()


def loaded_from(model: Any, folder: Path) -> LoadedModel:
    return load_model(keras_models.save_model(model, folder))


def reads(loaded: LoadedModel) -> dict[str, str | None]:
    """The name of what each layer reads, None for the model's input."""
    nodes = loaded.spec.nodes
    sources = {node.name: sources_of(node)[0].node for node in nodes}
    return {name: None if source is None else nodes[source].name for name, source in sources.items()}


def refusal(model: Any) -> ModelRefused:
    with pytest.raises(ModelRefused) as caught:
        model_spec(model)
    assert caught.value.remedy
    return caught.value


def test_two_heads_and_the_trunk_are_outputs(keras: Any, tmp_path: Path) -> None:
    loaded = loaded_from(two_heads(keras), tmp_path)
    spec = loaded.spec
    assert reads(loaded) == {"trunk": None, "every": "trunk", "branch": "trunk", "last": "branch"}
    assert [spec.nodes[output].name for output in spec.outputs if isinstance(output, int)] == ["last", "every", "trunk"]
    got = agreed(loaded, replace(random_inputs(spec, 3), mask=MASK)).tensors
    assert [got[f"output.{place}"].shape for place in range(3)] == [(3, 2), (3, 5, 3), (3, 5, 4)]
    np.testing.assert_array_equal(got["output.2"], got["trunk.h"])


def test_a_layer_reads_the_one_that_it_is_called_on(keras: Any, tmp_path: Path) -> None:
    """The order of layers in the file is not that of the graph."""
    layers = keras.layers
    x = keras.Input((None, 2), name="signal")
    a = layers.LSTM(3, return_sequences=True, name="a")(x)
    b = layers.LSTM(4, return_sequences=True, name="b")(x)
    heads = [layers.Dense(1, name="of_b")(b), layers.Dense(1, name="of_a")(layers.Dropout(0.5)(a))]
    loaded = loaded_from(keras.Model(x, heads, name="parallel"), tmp_path)
    assert reads(loaded) == {"a": None, "b": None, "of_a": "a", "of_b": "b"}
    assert set(agreed(loaded, random_inputs(loaded.spec, 2)).tensors) >= {"output.0", "output.1", "a.c", "b.c"}


@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
def test_returned_states_are_outputs(keras: Any, tmp_path: Path, sequences: bool, mask: Any) -> None:
    x = keras.Input((5, 2), name="signal")
    lstm = keras.layers.LSTM(3, return_sequences=sequences, return_state=True, zero_output_for_mask=True, name="lstm")
    out, h, c = lstm(x)
    loaded = loaded_from(keras.Model(x, [c, out, h], name="states"), tmp_path)
    assert loaded.spec.outputs == (Source(0, Tap.STATE_C), 0, Source(0, Tap.STATE_H))
    got = agreed(loaded, replace(random_inputs(loaded.spec, 3), mask=mask)).tensors
    np.testing.assert_array_equal(got["output.0"], got["lstm.c_last"])
    np.testing.assert_array_equal(got["output.2"], got["lstm.h_last"])
    assert got["output.1"].shape == ((3, 5, 3) if sequences else (3, 3))


def test_one_state_alone_and_an_output_twice(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((5, 2), name="signal")
    out, _, c = keras.layers.LSTM(3, return_state=True, name="lstm")(x)
    alone = loaded_from(keras.Model(x, c, name="alone"), tmp_path)
    assert alone.spec.outputs == (Source(0, Tap.STATE_C),)
    assert agreed(alone, random_inputs(alone.spec, 3)).tensors["output"].shape == (3, 3)
    head = keras.layers.Dense(2, name="head")(out)
    twice = loaded_from(keras.Model(x, [head, c, head], name="twice"), tmp_path)
    assert twice.spec.outputs == (1, Source(0, Tap.STATE_C), 1)
    agreed(twice, random_inputs(twice.spec, 3))


def test_outputs_in_a_dict_come_in_the_order_of_keras(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((5, 2), name="signal")
    out, h, c = keras.layers.LSTM(3, return_state=True, name="lstm")(x)
    outputs = {"z": out, "b": c, "a": keras.layers.Dense(2, name="head")(out), "h": h}
    loaded = loaded_from(keras.Model(x, outputs, name="named"), tmp_path)
    agreed(loaded, random_inputs(loaded.spec, 3))


@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
def test_initial_states_that_are_inputs(keras: Any, tmp_path: Path, mask: Any) -> None:
    loaded = loaded_from(decoder(keras), tmp_path)
    assert loaded.spec.input_name == "signal"
    assert loaded.spec.state_inputs == {
        "h_in": ("first.h0",), "c_in": ("first.c0",), "shared": ("second.h0", "second.c0"),
    }  # fmt: skip
    inputs = replace(random_inputs(loaded.spec, 3, 5), mask=mask)
    assert sorted(inputs.initial) == ["first.c0", "first.h0", "second.c0", "second.h0"]
    assert np.std(inputs.initial["first.h0"]) > 0.1
    got = agreed(loaded, inputs).tensors
    # Keras 3 does not let a mask that comes with an input reach a layer that is given states as well.
    assert not any(node.masked for _, node in loaded.spec.lstm_nodes())
    assert (got["output.1"][2] != inputs.initial["first.h0"][2]).all()


def test_a_mask_passes_a_layer_with_initial_states_by(keras: Any, tmp_path: Path) -> None:
    x, h = keras.Input((None, 2), name="x"), keras.Input((3,), name="h")
    layers = keras.layers
    first = layers.LSTM(3, return_sequences=True, name="first")(x)
    second = layers.LSTM(3, return_sequences=True, name="second")(first, initial_state=[h, h])
    loaded = loaded_from(keras.Model([x, h], layers.LSTM(2, name="third")(second), name="around"), tmp_path)
    assert [node.masked for _, node in loaded.spec.lstm_nodes()] == [True, False, True]
    agreed(loaded, replace(random_inputs(loaded.spec, 3, 5), mask=MASK))


def test_a_mask_input_beside_initial_states(keras: Any, tmp_path: Path) -> None:
    x, valid = keras.Input((None, 2), name="x"), keras.Input((None,), dtype="bool", name="valid")
    h, c = keras.Input((3,), name="h"), keras.Input((3,), name="c")
    out = keras.layers.LSTM(3, name="lstm")(x, mask=valid, initial_state=[h, c])
    loaded = loaded_from(keras.Model({"x": x, "valid": valid, "h": h, "c": c}, out, name="all"), tmp_path)
    assert (loaded.spec.mask_input, set(loaded.spec.state_inputs)) == ("valid", {"h", "c"})
    agreed(loaded, replace(random_inputs(loaded.spec, 3, 5), mask=MASK))


def test_states_of_one_lstm_from_the_model_and_of_another_from_the_file(keras: Any, tmp_path: Path) -> None:
    x, h, c = keras.Input((None, 2), name="x"), keras.Input((3,), name="h"), keras.Input((3,), name="c")
    first = keras.layers.LSTM(3, return_sequences=True, name="first")(x, initial_state=[h, c])
    loaded = loaded_from(keras.Model([x, h, c], keras.layers.LSTM(2, name="second")(first), name="both"), tmp_path)
    inputs = random_inputs(loaded.spec, 3, 5)
    states = {f"second.{state}": np.full((3, 2), 0.5, np.float32) for state in ("h0", "c0")}
    agreed(loaded, replace(inputs, initial={**inputs.initial, **states}))


def test_models_with_several_inputs_and_outputs_inside_a_model(keras: Any, tmp_path: Path) -> None:
    inner = decoder(keras, name="inner")
    x = keras.Input((5, 2), name="outer")
    states = [keras.Input((units,), name=name) for name, units in (("c", 3), ("s", 4), ("h", 3))]
    wide = keras.layers.Dense(2, name="wide")(x)
    head, h_out, _ = inner([states[0], wide, states[1], states[2]])
    loaded = loaded_from(keras.Model([x, *states], [h_out, head], name="whole"), tmp_path)
    assert [node.name for node in loaded.spec.nodes][:3] == ["wide", "first", "second"]
    first = loaded.spec.nodes[1]
    assert isinstance(first, LstmNode)
    assert (first.h0_input, first.c0_input) == ("h", "c")
    agreed(loaded, random_inputs(loaded.spec, 3))


@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
def test_states_that_other_layers_read(keras: Any, tmp_path: Path, mask: Any) -> None:
    loaded = loaded_from(encoder_decoder(keras), tmp_path)
    sources = {node.name: sources_of(node) for node in loaded.spec.nodes}
    assert sources["decoder"] == (Source(), Source(0, Tap.STATE_H), Source(0, Tap.STATE_C))
    assert sources["of_c"] == (Source(0, Tap.STATE_C),)
    got = agreed(loaded, replace(random_inputs(loaded.spec, 3), mask=mask)).tensors
    assert (got["decoder.h"][:, 0] != got["encoder.h"][:, 0]).any()


def test_a_dense_layer_may_be_called_twice(keras: Any, tmp_path: Path) -> None:
    x = keras.Input((5, 3), name="x")
    shared = keras.layers.Dense(3, name="shared")
    out = shared(keras.layers.LSTM(3, name="lstm", return_sequences=True)(shared(x)))
    loaded = loaded_from(keras.Model(x, out, name="shared_layer"), tmp_path)
    assert [node.name for node in loaded.spec.nodes] == ["shared", "lstm", "shared"]
    agreed(loaded, random_inputs(loaded.spec, 3))


def test_the_graph_of_keras_2(tmp_path: Path) -> None:
    keras = import_keras(KERAS_2)
    for build in (two_heads, decoder):
        loaded = from_keras(build(keras))
        assert loaded.spec.state_inputs.keys() == ({"h_in", "c_in", "shared"} if build is decoder else set())
        for mask in (None, MASK):
            agreed(loaded, replace(random_inputs(loaded.spec, 3, 5), mask=mask))


def lstm_of_two(keras: Any, **options: Any) -> tuple[Any, Any]:
    x = keras.Input((4, 2), name="x")
    return x, keras.layers.LSTM(3, name="lstm", **options)(x)


def a_sequence_as_a_state(keras: Any) -> Any:
    x = keras.Input((4, 3), name="x")
    out = keras.layers.LSTM(3, name="first", return_sequences=True)(x)
    return keras.Model(x, keras.layers.LSTM(3, name="named")(x, initial_state=[out, out]))


def an_input_and_a_state(keras: Any) -> Any:
    x, h = keras.Input((4, 3), name="x"), keras.Input((3,), name="h")
    out = keras.layers.LSTM(3, name="first")(x)
    return keras.Model([x, h], keras.layers.LSTM(3, name="named")(x, initial_state=[h, out]))


def attends(keras: Any) -> Any:
    x, out = lstm_of_two(keras, return_sequences=True)
    return keras.Model(x, keras.layers.Dot(axes=2, name="join")([out, out]))


def returns_its_input(keras: Any) -> Any:
    x, out = lstm_of_two(keras)
    return keras.Model(x, [out, x], name="model")


def an_image(keras: Any) -> Any:
    x, out = lstm_of_two(keras)
    return keras.Model([x, keras.Input((3, 3, 1), name="image")], out)


def an_inner_model_twice(keras: Any) -> Any:
    x = keras.Input((4, 2), name="x")
    inner = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(2, return_sequences=True, name="inner_lstm")])
    return keras.Model(x, inner(inner(x)))


def two_of_one_name(keras: Any) -> Any:
    x = keras.Input((4, 2), name="x")
    inner = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(2, return_sequences=True, name="lstm")])
    return keras.Model(x, keras.layers.LSTM(2, name="lstm")(inner(x)))


def a_state_at_training(keras: Any) -> Any:
    x = keras.Input((4, 2), name="x")
    inner = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(2, name="inner_lstm")], name="inner")
    return keras.Model(x, inner(x, training=True))


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (a_sequence_as_a_state, "'named' has LSTM 'first', LSTM 'first' as its initial_state"),
        (an_input_and_a_state, "'named' has the input 'h', LSTM 'first' as its initial_state"),
        (attends, "'join' is a Dot"),
        (returns_its_input, "Model 'model' returns the input 'x' as it is"),
        (an_image, "has 2 inputs ('x' float32[None, 4, 2], 'image' float32[None, 3, 3, 1])"),
        (an_inner_model_twice, "Two steps of the model bear the name 'inner_lstm'"),
        (two_of_one_name, "Two steps of the model bear the name 'lstm'"),
        (a_state_at_training, "'inner' has more than its inputs in its call"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_graphs_that_are_refused(keras: Any, build: Build, says: str) -> None:
    assert says in refusal(build(keras)).message
