"""One LSTM alone: what Keras itself gives it and gets from it, whatever is around it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
from harness.compare.tolerance import distance_to_float64
from harness.errors import InputsRefused, ModelRefused
from harness.model.nodes import Source
from harness.model.whole import WholeInputs, random_whole_inputs
from harness.oracle.cache import Oracle
from harness.oracle.keras_oracle import Expected, expected_of_layer
from harness.oracle.load import LoadedModel, from_keras, load_model
from harness.oracle.one_layer import capture
from harness.oracle.reference import reference
from harness.oracle.runtime import KERAS_2, import_keras
from harness.protocol.wire import Tap
from keras_graphs import stateful, surrounded

NAMES = ["both.forward", "both.backward", "masked", "inside", "told"]
TOKENS = np.array([[1, 2, 0, 3, 0, 4, 0], [0, 0, 5, 6, 0, 0, 10], [0] * 7], np.int32)
GIVEN = WholeInputs({"tokens": TOKENS, "extra": np.random.default_rng(1).standard_normal((3, 7, 3)).astype(np.float32)})


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    keras = import_keras()
    keras.utils.set_random_seed(2)
    return keras_models.save_model(surrounded(keras), tmp_path_factory.mktemp("models"))


def judged(loaded: LoadedModel, given: WholeInputs) -> Expected:
    """Keras' values of the layer, after they agreed with the reference's."""
    assert loaded.layer is not None
    captured = capture(loaded.keras_model, loaded.layer, given)
    got = expected_of_layer(loaded, captured)
    distances = distance_to_float64(got.tensors, reference(loaded.spec, captured.inputs))
    assert max(distances.values()) < 5e-7, distances
    return got


@pytest.mark.parametrize("name", NAMES)
def test_every_lstm_of_a_model_that_the_device_cannot_run(path: Path, name: str) -> None:
    loaded = load_model(path, layer=name)
    assert [node.name for node in loaded.spec.nodes] == [name]
    assert {spec.name: (spec.shape, spec.dtype, spec.below) for spec in loaded.reads} == {
        "tokens": ((None, 7), "int32", 11),
        "extra": ((None, 7, 3), "float32", None),
    }
    got = judged(loaded, GIVEN).tensors
    assert list(got)[:4] == [f"{name}.h", f"{name}.c", f"{name}.h_last", f"{name}.c_last"]
    judged(loaded, random_whole_inputs(loaded.reads, 2, seed=1))


def test_what_the_layer_is_given_is_what_keras_gives_it(path: Path) -> None:
    whole = load_model(path, layer="masked")
    inputs = capture(whole.keras_model, "masked", GIVEN).inputs
    table = np.asarray(whole.keras_model.get_layer("embedding").get_weights()[0])
    np.testing.assert_array_equal(inputs.x, table[TOKENS])
    assert inputs.mask is not None
    np.testing.assert_array_equal(inputs.mask, TOKENS != 0)
    backward = capture(whole.keras_model, "both.backward", GIVEN).inputs
    forward = capture(whole.keras_model, "both.forward", GIVEN).inputs
    np.testing.assert_array_equal(backward.x, forward.x)
    told = capture(whole.keras_model, "told", GIVEN)
    assert sorted(told.inputs.initial) == ["told.c0", "told.h0"]
    assert told.inputs.initial["told.h0"].any()
    assert load_model(path, layer="told").spec.outputs == (0, Source(0, Tap.STATE_H), Source(0, Tap.STATE_C))
    assert "x is what Keras gives layer 'told' for 'tokens' int32[3, 7], 'extra' float32[3, 7, 3]" in told.inputs.notes


def test_the_model_is_as_it_was_afterwards(path: Path) -> None:
    model = load_model(path, layer="masked").keras_model
    layer = model.get_layer("masked")
    capture(model, "masked", GIVEN)
    assert "call" not in vars(layer)
    with pytest.raises(InputsRefused):
        capture(model, "masked", WholeInputs({**GIVEN.arrays, "tokens": TOKENS[:, :3]}))
    assert "call" not in vars(layer)


def test_keras_2(tmp_path: Path) -> None:
    keras = import_keras(KERAS_2)
    keras.utils.set_random_seed(2)
    model = surrounded(keras)
    for name in NAMES:
        judged(from_keras(model, layer=name), GIVEN)


def test_calls_of_a_stateful_layer(tmp_path: Path) -> None:
    keras = import_keras()
    model = stateful(keras)
    x = np.random.default_rng(1).standard_normal((4, 3, 5, 2)).astype(np.float32)
    resets = np.array([False, False, True, False])
    for name in ("first", "free", "second"):
        got = judged(from_keras(model, layer=name), WholeInputs({"x": x}, reset_before=resets)).tensors
        assert got[f"{name}.h"].shape[:3] == (4, 3, 5)
    mask = np.random.default_rng(1).random((4, 3, 5)) < 0.5
    judged(from_keras(model, layer="second"), WholeInputs({"x": x}, mask=mask, reset_before=resets))


def test_the_cache_knows_the_layer_and_what_it_was_given(path: Path, tmp_path: Path) -> None:
    oracle = Oracle(tmp_path)

    def ask(layer: str, given: WholeInputs) -> Any:
        return oracle.answer(oracle.load(path, layer=layer), given)

    for name in ("masked", "told"):
        first, again = ask(name, GIVEN), ask(name, GIVEN)
        assert (first.from_cache, again.from_cache) == (False, True)
        assert again.inputs.sha256 == first.inputs.sha256
        assert again.inputs.notes == first.inputs.notes
        assert again.max_abs_to_float64 == first.max_abs_to_float64
        for key, array in first.expected.tensors.items():
            np.testing.assert_array_equal(again.expected.tensors[key], array)
    assert oracle.load(path, layer="masked").keras_model is None
    assert oracle.load(path, layer="masked").reads == load_model(path, layer="masked").reads
    other = replace(GIVEN, arrays={**GIVEN.arrays, "tokens": TOKENS + 1})
    with pytest.raises(InputsRefused, match=r"Keras cannot run model .surrounded. on .* is not in \["):
        ask("masked", replace(GIVEN, arrays={**GIVEN.arrays, "tokens": TOKENS + 99}))
    assert not ask("masked", replace(other, arrays={**other.arrays, "tokens": TOKENS // 2})).from_cache


def test_a_refusal_offers_the_lstms_by_name(path: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"is a (Embedding|Conv1D)") as caught:
        load_model(path)
    for name in NAMES:
        assert f"--layer {name}" in caught.value.remedy
    keras = import_keras()
    x, images = keras.Input((4, 2), name="x"), keras.Input((4, 2, 2), name="images")
    y = keras.layers.Reshape((4, 4))(images)
    outputs = [keras.layers.LSTM(2, name="of_x")(x), keras.layers.LSTM(2, name="of_y")(y)]
    two = keras.Model([x, images], outputs, name="two")
    with pytest.raises(ModelRefused, match="has 2 inputs") as caught:
        load_model(keras_models.save_model(two, tmp_path))
    assert "--layer of_x or --layer of_y" in caught.value.remedy


def test_what_is_called_twice_is_not_offered() -> None:
    keras = import_keras()
    x, other = keras.Input((4, 2), name="x"), keras.Input((4, 2), name="other")
    shared = keras.layers.LSTM(2, return_sequences=True, name="shared")
    both = keras.layers.Bidirectional(keras.layers.LSTM(2), name="both")
    inner = keras.Sequential([keras.Input((4, 2)), keras.layers.LSTM(2, name="inside")], name="inner")
    outputs = [call(shared(read)) for call in (both, inner) for read in (x, other)]
    once = keras.layers.LSTM(2, name="once")(x)
    with pytest.raises(ModelRefused, match="bear the name") as caught:
        from_keras(keras.Model([x, other], [*outputs, once], name="sharing"))
    assert caught.value.remedy.endswith("`hil validate MODEL` with --layer once")


def test_names_that_are_no_lstm(path: Path) -> None:
    for name in ("embedding", "nothing", "both"):
        with pytest.raises(ModelRefused) as caught:
            load_model(path, layer=name)
        assert caught.value.code == "layer_not_found"
        assert f"no LSTM named '{name}'" in caught.value.message
        assert all(each in caught.value.remedy for each in NAMES)


def test_layers_that_cannot_be_judged_alone(tmp_path: Path) -> None:
    keras = import_keras()
    layers = keras.layers
    x = keras.Input((4, 2), name="x")
    shared = layers.LSTM(2, return_sequences=True, name="shared")
    twice = keras.Model(x, shared(shared(x)), name="twice")
    with pytest.raises(InputsRefused, match="calls layer 'shared' 2 times"):
        capture(twice, "shared", random_whole_inputs(from_keras(twice, layer="shared").reads))
    half = keras.Model(x, layers.LSTM(2, dtype="float16", name="half")(x), name="half")
    with pytest.raises(ModelRefused, match="the dtype float16"):
        from_keras(half, layer="half")
    text = keras.Model(x, layers.Dense(1)(x), name="dense")
    with pytest.raises(ModelRefused) as caught:
        from_keras(text, layer="lstm")
    assert "It has no LSTM" in caught.value.remedy
