"""Keras' values against the float64 reference: two implementations that share no code have to agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import keras_models
import seeds
from agreement import agreed, load
from harness.compare.tolerance import distance_to_float64, tolerances
from harness.errors import InputsRefused, OracleError
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import ActivationNode, DenseNode, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle import keras_oracle
from harness.oracle.keras_oracle import expected, require_identical
from harness.oracle.load import load_model, model_spec
from harness.oracle.reference import reference
from harness.oracle.runtime import import_keras
from harness.protocol.wire import Activation, Phase


def two_lstms(**first_options: Any) -> ModelSpec:
    """LSTM(4) with all outputs, LSTM(3) with the last one, Dense(2)."""
    first, second = seeds.random_lstm(2, 4, seed=1).nodes[0], seeds.random_lstm(4, 3, seed=2).nodes[0]
    assert isinstance(first, LstmNode)
    assert isinstance(second, LstmNode)
    kernel = np.array([[1, -1], [0.5, 2], [-1, 0.25]], dtype=np.float32)
    dense = DenseNode("dense", 1, Phase.AFTER_LAST_STEP, kernel, None, Activation.SOFTMAX)
    nodes = (
        replace(first, name="first", **first_options),
        replace(second, name="second", source=0, return_sequences=False),
        dense,
    )
    return ModelSpec("two", "x", 2, None, nodes, (2,))


MASK = np.array([[True, True, True, False, False], [False, True, False, True, True], [False] * 5])


@pytest.mark.parametrize("gate", seeds.SCALAR_GATES)
def test_worked_example(tmp_path: Path, gate: Activation) -> None:
    case = seeds.worked_example(gate)
    got = agreed(load(case.spec, tmp_path), case.inputs)
    for name, array in case.expected.items():
        np.testing.assert_allclose(got.tensors[name], array, atol=1e-7, err_msg=name)


def test_gates_of_the_worked_example(tmp_path: Path) -> None:
    """z is what the layer gives when everything but the gate under test is out of the way."""
    case = seeds.worked_example()
    (node,) = case.spec.nodes
    assert isinstance(node, LstmNode)
    for gate, z in zip((0, 2, 3), (seeds.WORKED_Z[0], seeds.WORKED_Z[2], seeds.WORKED_Z[3]), strict=True):
        kernel, bias = np.zeros((1, 12)), np.repeat([1.0, 0.0, 1.0, 1.0], 3)
        columns = slice(3 * gate, 3 * gate + 3)
        kernel[:, columns] = node.kernel[:, columns]
        bias[columns] = 0
        spec = seeds.single_lstm(kernel, np.zeros((3, 12)), bias, Activation.LINEAR, Activation.LINEAR)
        got = agreed(load(spec, tmp_path), case.inputs)
        np.testing.assert_allclose(got.tensors["lstm.h"].ravel(), z, atol=1e-7)


def test_linear_activations_are_exact(tmp_path: Path) -> None:
    case = seeds.linear_by_hand()
    got = agreed(load(case.spec, tmp_path), case.inputs)
    assert got.tensors["lstm.h"].tolist() == [[[0, 4, 0]]]
    assert got.tensors["lstm.c"].tolist() == [[[0, 4, 1]]]


def test_no_bias_and_rounded_weights(tmp_path: Path) -> None:
    case = seeds.no_bias_16_32()
    got = agreed(load(case.spec, tmp_path), case.inputs)
    np.testing.assert_array_equal(got.tensors["output"], got.tensors["lstm.h"])
    np.testing.assert_array_equal(got.tensors["lstm.h_last"], got.tensors["lstm.h"][:, -1])
    np.testing.assert_array_equal(got.tensors["lstm.c_last"], got.tensors["lstm.c"][:, -1])


def test_classifier(tmp_path: Path) -> None:
    got = agreed(load(seeds.rows_of_an_image(), tmp_path), random_inputs(seeds.rows_of_an_image(), batch=3))
    assert got.oracle == "keras"
    assert set(got.versions) == {"keras", "tensorflow", "numpy", "TF_ENABLE_ONEDNN_OPTS"}


@pytest.mark.parametrize("batch", [1, 8, 33])
@pytest.mark.parametrize(("input_size", "units"), [(1, 1), (3, 7), (64, 128)])
def test_layer_and_cell_agree_bit_for_bit(tmp_path: Path, batch: int, input_size: int, units: int) -> None:
    spec = seeds.random_lstm(input_size, units)
    agreed(load(spec, tmp_path), random_inputs(spec, batch, steps=5))


@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
@pytest.mark.parametrize("options", [{}, {"zero_output_for_mask": True}, {"bias": None}], ids=str)
def test_stacked_layers_and_masks(tmp_path: Path, options: dict[str, Any], mask: Any) -> None:
    spec = two_lstms(**options)
    inputs = replace(random_inputs(spec, batch=3, steps=5), mask=mask)
    got = agreed(load(spec, tmp_path), inputs)
    if mask is not None:
        h = got.tensors["first.h"]
        assert not h[2].any()
        assert not h[1, 0].any()
        repeats = np.array_equal(h[0, 4], h[0, 2])
        assert repeats is not bool(options.get("zero_output_for_mask"))


@pytest.mark.parametrize("mask", [None, MASK], ids=["all steps", "mask"])
def test_initial_states(tmp_path: Path, mask: Any) -> None:
    spec = two_lstms()
    generator = np.random.default_rng(5)
    initial = {
        f"{name}.{state}": generator.standard_normal((3, units)).astype(np.float32)
        for name, units in (("first", 4), ("second", 3))
        for state in ("h0", "c0")
    }
    loaded = load(spec, tmp_path)
    inputs = replace(random_inputs(spec, batch=3, steps=5), mask=mask, initial=initial)
    got = agreed(loaded, inputs)
    of_one = agreed(loaded, replace(inputs, initial={name: initial[name] for name in ("second.h0", "second.c0")}))
    np.testing.assert_array_equal(
        of_one.tensors["first.h"], expected(loaded, replace(inputs, initial={})).tensors["first.h"]
    )
    assert np.abs(got.tensors["output"] - of_one.tensors["output"]).max() > 1e-3
    if mask is not None:
        np.testing.assert_array_equal(got.tensors["first.h_last"][2], initial["first.h0"][2])


@pytest.mark.parametrize("unroll", [False, True])
def test_options_that_do_not_count_at_inference(tmp_path: Path, unroll: bool) -> None:
    keras = import_keras()
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((5, 2), name="x"),
            layers.LSTM(4, dropout=0.5, recurrent_dropout=0.5, return_sequences=True, unroll=unroll, name="first"),
            layers.Dropout(0.5),
            layers.Activation("tanh", name="middle"),
            layers.LSTM(3, unroll=unroll, zero_output_for_mask=True, name="second"),
            layers.Dense(4, activation="hard_sigmoid", name="dense"),
            layers.Softmax(name="softmax"),
        ],
        name="options",
    )
    loaded = load_model(keras_models.save_model(model, tmp_path))
    inputs = random_inputs(loaded.spec, batch=3)
    agreed(loaded, inputs)
    agreed(loaded, replace(inputs, mask=MASK))


def test_functional_model_with_a_named_output(tmp_path: Path) -> None:
    keras = import_keras()
    model_input = keras.Input((5, 2), name="signal")
    inner = keras.Sequential([keras.Input((5, 2)), keras.layers.LSTM(3, return_sequences=True, name="a")], name="inner")
    output = keras.layers.LSTM(3, return_sequences=True, name="b")(inner(model_input))
    loaded = load_model(keras_models.save_model(keras.Model([model_input], {"out": output}, name="f"), tmp_path))
    assert agreed(loaded, replace(random_inputs(loaded.spec, 3), mask=MASK)).tensors["output"].shape == (3, 5, 3)


def test_nan_and_infinite_inputs_are_values(tmp_path: Path) -> None:
    spec = seeds.random_lstm(2, 3)
    x = random_inputs(spec, batch=3, steps=4).x.copy()
    x[1, 2, 0], x[2, 1, 1] = np.nan, np.inf
    loaded, inputs = load(spec, tmp_path), Inputs(x=x)
    got = expected(loaded, inputs).tensors
    assert np.isnan(got["lstm.h"][1, 2:]).all()
    assert np.isfinite(got["lstm.h"][1, :2]).all()
    assert np.isfinite(got["lstm.h"][0]).all()
    assert distance_to_float64(got, reference(spec, inputs))["lstm.h"] < 5e-7


def test_ill_conditioned_model_has_no_default_tolerance(tmp_path: Path) -> None:
    """Linear activations that grow: float32 has lost the third decimal long before the end."""
    case = seeds.linear_by_hand()
    loaded = load(case.spec, tmp_path)
    inputs = Inputs(x=np.full((1, 6, 2), 0.1, dtype=np.float32))
    distances = distance_to_float64(expected(loaded, inputs).tensors, reference(case.spec, inputs))
    with pytest.raises(OracleError, match="float32 does not determine") as caught:
        tolerances(distances)
    assert caught.value.code == "ill_conditioned"


def test_another_batch_than_the_models(tmp_path: Path) -> None:
    keras = import_keras()
    model = keras.Sequential([keras.Input(batch_shape=(3, 4, 2)), keras.layers.LSTM(3)], name="fixed")
    loaded = load_model(keras_models.save_model(model, tmp_path))
    agreed(loaded, random_inputs(loaded.spec, 3))
    with pytest.raises(InputsRefused, match="fixes a batch of 3"):
        expected(loaded, random_inputs(loaded.spec, 4))


def test_a_cell_that_contradicts_its_layer_is_no_oracle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = seeds.random_lstm(2, 3)
    loaded = load(spec, tmp_path)
    step_cell = keras_oracle._step_cell

    def one_ulp_off(*arguments: Any) -> Any:
        of_cell = step_cell(*arguments)
        of_cell["h"][0, 0, 0] = np.nextafter(of_cell["h"][0, 0, 0], np.float32(2))
        return of_cell

    monkeypatch.setattr(keras_oracle, "_step_cell", one_ulp_off)
    with pytest.raises(OracleError, match="h of LSTM 'lstm' and that of its LSTMCell") as caught:
        expected(loaded, random_inputs(spec))
    assert caught.value.code == "keras_inconsistent"


def test_require_identical() -> None:
    array = np.array([1, np.nan, -0.0], dtype=np.float32)
    require_identical("a", array, "b", np.array([1, np.nan, 0.0], dtype=np.float32))
    for other in ([1, 2, 0], [1, np.nan], [np.nan, np.nan, 0]):
        with pytest.raises(OracleError, match="Keras contradicts itself: the a and b differ"):
            require_identical("a", array, "b", np.array(other, dtype=np.float32))


def test_the_same_call_gives_the_same_bits(tmp_path: Path) -> None:
    spec = two_lstms()
    loaded, inputs = load(spec, tmp_path), random_inputs(spec)
    first, again = expected(loaded, inputs).tensors, expected(loaded, inputs).tensors
    for name, array in first.items():
        assert array.tobytes() == again[name].tobytes()


def test_activation_layers_are_nodes_of_their_own() -> None:
    spec = two_lstms()
    nodes = (*spec.nodes, ActivationNode("last", 2, Phase.AFTER_LAST_STEP, 2, Activation.TANH))
    assert model_spec(keras_models.keras_model(replace(spec, nodes=nodes, outputs=(3,)))).nodes[3] == nodes[3]
