"""Files of Keras 2, and HDF5 of both: the model that was saved comes back, from the Keras that saved it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import seeds
from agreement import agreed, assert_same
from harness.compare.tolerance import distance_to_float64
from harness.errors import HilError, OracleError
from harness.model.inputs import random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.cache import Oracle
from harness.oracle.keras_oracle import expected
from harness.oracle.load import from_keras, load_model
from harness.oracle.reference import reference
from harness.oracle.runtime import KERAS_2, KERAS_3, import_keras, keras_api
from harness.protocol.wire import Activation
from hdf5_files import keras_2_file, lstm_config, sequential_config
from keras_graphs import decoder, encoder_decoder, stateful, two_heads
from keras_models import save_model, save_spec

SPECS = {
    "no_bias": seeds.no_bias_16_32().spec,
    "linear": seeds.linear_by_hand().spec,
    "hard_sigmoid": seeds.worked_example(Activation.HARD_SIGMOID).spec,
    "hard_sigmoid_keras2": seeds.worked_example(Activation.HARD_SIGMOID_KERAS2).spec,
    "classifier": seeds.rows_of_an_image(),
}


@pytest.mark.parametrize(
    ("name", "package", "suffix"),
    [
        (name, package, suffix)
        for name in SPECS
        for package, suffix in ((KERAS_3, ".h5"), (KERAS_2, ".h5"), (KERAS_2, ".hdf5"), (KERAS_2, ".keras"))
        if (name, package) != ("hard_sigmoid", KERAS_2)  # Keras 2 does not have Keras 3's
    ],
)
def test_a_spec_comes_back_from_its_file(tmp_path: Path, name: str, package: str, suffix: str) -> None:
    spec = SPECS[name]
    loaded = load_model(save_spec(spec, tmp_path, suffix, package))
    assert_same(loaded.spec, spec)
    # The linear one grows without bound on anything but its own inputs.
    inputs = seeds.linear_by_hand().inputs if name == "linear" else random_inputs(loaded.spec, 2, 5)
    answer = agreed(loaded, inputs)
    assert answer.oracle == package
    assert package in answer.versions


@pytest.mark.parametrize("package", [KERAS_2, KERAS_3])
def test_worked_examples_through_hdf5(tmp_path: Path, package: str) -> None:
    case = seeds.linear_by_hand()
    loaded = load_model(save_spec(case.spec, tmp_path, ".h5", package))
    for name, array in expected(loaded, case.inputs).tensors.items():
        np.testing.assert_array_equal(array, case.expected[name])


def lively(recurrent_activation: Activation) -> ModelSpec:
    """An LSTM whose gates are driven hard, so that it shows which hard_sigmoid they have."""
    node = seeds.random_lstm_node(3, 6, seed=3, scale=3.0, recurrent_activation=recurrent_activation)
    return replace(seeds.random_lstm(3, 6), nodes=(node,))


def test_the_two_hard_sigmoids_are_told_apart(tmp_path: Path) -> None:
    of_2, of_3 = (
        load_model(save_spec(lively(activation), tmp_path, suffix, package))
        for activation, suffix, package in (
            (Activation.HARD_SIGMOID_KERAS2, ".h5", KERAS_2),
            (Activation.HARD_SIGMOID, ".keras", KERAS_3),
        )
    )
    inputs = random_inputs(of_2.spec, 4, 10)
    h_2, h_3 = (agreed(loaded, inputs).tensors["lstm.h"] for loaded in (of_2, of_3))
    assert np.abs(h_2 - h_3).max() > 1e-2
    assert max(distance_to_float64({"lstm.h": h_2}, {"lstm.h": reference(of_3.spec, inputs)["lstm.h"]}).values()) > 1e-2


def test_a_file_of_standalone_keras(tmp_path: Path) -> None:
    loaded = load_model(keras_2_file(tmp_path / "old.h5"))
    (node,) = loaded.spec.nodes
    assert isinstance(node, LstmNode)
    assert (node.name, loaded.spec.input_name) == ("lstm_1", "lstm_1_input")
    assert node.recurrent_activation is Activation.HARD_SIGMOID_KERAS2
    agreed(loaded, random_inputs(loaded.spec, 3, 7))


@pytest.mark.parametrize(
    "config",
    [
        {"class_name": "Sequential", "config": [lstm_config(implementation=2)]},
        sequential_config(lstm_config(batch_input_shape={"class_name": "__tuple__", "items": [None, None, 3]})),
    ],
    ids=["list", "tuple"],
)
def test_descriptions_of_older_versions(tmp_path: Path, config: Any) -> None:
    assert load_model(keras_2_file(tmp_path / "old.h5", config)).spec.input_size == 3


@pytest.mark.parametrize("build", [two_heads, decoder, encoder_decoder, stateful])
@pytest.mark.parametrize(("package", "suffix"), [(KERAS_3, ".h5"), (KERAS_2, ".h5"), (KERAS_2, ".keras")])
def test_graphs_come_back_from_their_files(
    tmp_path: Path, build: Callable[[Any], Any], package: str, suffix: str
) -> None:
    model = build(import_keras(package))
    loaded = load_model(save_model(model, tmp_path, suffix))
    assert_same(loaded.spec, from_keras(model).spec)
    inputs = random_inputs(loaded.spec, 3, 5)
    for mask in (None, np.random.default_rng(1).random((3, 5)) > 0.4):
        assert agreed(loaded, replace(inputs, mask=mask)).oracle == package


def test_the_cache_knows_the_oracle(tmp_path: Path) -> None:
    path = save_spec(lively(Activation.HARD_SIGMOID_KERAS2), tmp_path, ".h5", KERAS_2)
    oracle = Oracle(tmp_path / "cache")
    loaded = oracle.load(path)
    inputs = random_inputs(loaded.spec, 2, 4)
    first = oracle.answer(loaded, inputs)
    again = oracle.load(path)
    second = oracle.answer(again, inputs)
    assert (first.from_cache, second.from_cache, again.keras_model) == (False, True, None)
    assert second.expected.oracle == first.expected.oracle == KERAS_2
    assert second.expected.versions["tf_keras"] == keras_api(KERAS_2).version
    for name, array in first.expected.tensors.items():
        assert second.expected.tensors[name].tobytes() == array.tobytes()


def test_without_tf_keras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = keras_2_file(tmp_path / "old.h5")
    monkeypatch.setitem(sys.modules, "tf_keras", None)
    with pytest.raises(OracleError, match="tf_keras cannot be imported") as caught:
        load_model(path)
    assert caught.value.code == "keras_missing"
    assert "pip install tf_keras" in caught.value.remedy


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.integers(0, 8 * 10_000 - 1), min_size=1, max_size=3))
def test_no_damage_is_more_than_a_refusal(tmp_path: Path, flips: list[int]) -> None:
    content = bytearray(keras_2_file(tmp_path / "good.h5").read_bytes())
    for flip in flips:
        content[flip // 8 % len(content)] ^= 1 << flip % 8
    path = tmp_path / "damaged.h5"
    path.write_bytes(content)
    try:
        loaded = load_model(path)
    except HilError as error:
        assert error.remedy  # noqa: PT017
    else:
        assert loaded.spec.parameters > 0
