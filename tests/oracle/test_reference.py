"""The float64 reference: by hand, at its limits, and in the corners of masks and initial states."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest

import seeds
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import DenseNode, LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.reference import lstm, reference
from harness.protocol.wire import Activation, Phase


@pytest.mark.parametrize("gate", seeds.SCALAR_GATES)
def test_worked_example(gate: Activation) -> None:
    case = seeds.worked_example(gate)
    got = reference(case.spec, case.inputs)
    for name, array in case.expected.items():
        np.testing.assert_allclose(got[name], array, rtol=1e-6, err_msg=name)


def test_worked_example_by_pocket_calculator() -> None:
    _, z_f, _, _ = seeds.WORKED_Z
    assert z_f[0] == pytest.approx(0.83467698 * -0.07722378 + 1)
    case = seeds.worked_example()
    assert case.expected["lstm.c"].ravel() == pytest.approx([-0.0791087748, 0.1462123886, 0.0252706329], abs=1e-10)
    assert case.expected["lstm.h"].ravel() == pytest.approx([-0.0309207799, 0.0551930518, 0.0103543728], abs=1e-10)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_linear_activations_are_exact(dtype: type) -> None:
    case = seeds.linear_by_hand()
    got = reference(case.spec, case.inputs, dtype)
    assert got["lstm.h"].tolist() == [[[0, 4, 0]]]
    assert got["lstm.c"].tolist() == [[[0, 4, 1]]]
    for name, array in case.expected.items():
        assert got[name].dtype == dtype
        np.testing.assert_array_equal(got[name], array)


def test_no_bias_is_a_bias_of_zero() -> None:
    case = seeds.no_bias_16_32()
    (node,) = case.spec.nodes
    assert isinstance(node, LstmNode)
    assert (node.kernel.size, node.recurrent_kernel.size) == (2048, 4096)
    with_zeros = replace(case.spec, nodes=(replace(node, bias=np.zeros(128, dtype=np.float32)),))
    for name, array in reference(with_zeros, case.inputs).items():
        np.testing.assert_array_equal(array, case.expected[name])


def test_numbers_of_parameters() -> None:
    spec = seeds.rows_of_an_image()
    assert [node.parameters for node in spec.nodes] == [4 * ((28 + 75) * 75 + 75), 75 * 10 + 10, 0]
    assert spec.nodes[0].parameters == 31200


def test_names_and_shapes_of_a_classifier() -> None:
    spec = seeds.rows_of_an_image()
    tensors = reference(spec, random_inputs(spec, batch=3))
    assert {name: array.shape for name, array in tensors.items()} == {
        "lstm.h": (3, 28, 75),
        "lstm.c": (3, 28, 75),
        "lstm.h_last": (3, 75),
        "lstm.c_last": (3, 75),
        "output": (3, 10),
    }
    np.testing.assert_allclose(tensors["output"].sum(axis=-1), 1)


def test_states_carry_a_sequence_over_a_cut() -> None:
    spec = seeds.random_lstm(3, 5)
    whole = random_inputs(spec, batch=2, steps=9)
    first = reference(spec, Inputs(x=whole.x[:, :4]))
    # Initial states are float32, so the cut costs the state's digits beyond those.
    initial = {f"lstm.{state}0": first[f"lstm.{state}_last"].astype(np.float32) for state in "hc"}
    second = reference(spec, Inputs(x=whole.x[:, 4:], initial=initial))
    np.testing.assert_allclose(second["lstm.h"], reference(spec, whole)["lstm.h"][:, 4:], atol=1e-7)


def test_masked_steps_hold_the_state_and_repeat_the_output() -> None:
    spec = seeds.random_lstm(2, 3)
    x = random_inputs(spec, batch=1, steps=5).x
    mask = np.array([[False, True, False, True, False]])
    got = reference(spec, Inputs(x=x, mask=mask))
    without = reference(spec, Inputs(x=x[:, [1, 3]]))
    assert not got["lstm.h"][:, 0].any()
    for step, source in ((1, 0), (2, 0), (3, 1), (4, 1)):
        np.testing.assert_array_equal(got["lstm.h"][:, step], without["lstm.h"][:, source])
        np.testing.assert_array_equal(got["lstm.c"][:, step], without["lstm.c"][:, source])
    np.testing.assert_array_equal(got["lstm.h_last"], without["lstm.h_last"])


def test_before_the_first_valid_step_the_output_is_zero_but_the_state_is_the_initial_one() -> None:
    spec = seeds.random_lstm(2, 3)
    state = np.full((1, 3), 0.5, dtype=np.float32)
    inputs = Inputs(
        x=np.ones((1, 2, 2), dtype=np.float32),
        mask=np.zeros((1, 2), dtype=bool),
        initial={"lstm.h0": state, "lstm.c0": state},
    )
    got = reference(spec, inputs)
    assert not got["lstm.h"].any()
    np.testing.assert_array_equal(got["lstm.h_last"], state)
    np.testing.assert_array_equal(got["lstm.c"], np.stack([state, state], axis=1))


def test_zero_output_for_mask() -> None:
    node = seeds.random_lstm(2, 3).nodes[0]
    assert isinstance(node, LstmNode)
    spec = ModelSpec("zero", "x", 2, None, (replace(node, zero_output_for_mask=True, return_sequences=False),), (0,))
    mask = np.array([[True, False]])
    got = reference(spec, Inputs(x=np.ones((1, 2, 2), dtype=np.float32), mask=mask))
    assert got["lstm.h"][:, 0].any()
    assert not got["lstm.h"][:, 1].any()
    assert got["lstm.h_last"].any()
    assert not got["output"].any()


def test_several_outputs() -> None:
    lstm_node = seeds.random_lstm(2, 3).nodes[0]
    dense = DenseNode("dense", 0, Phase.AFTER_LAST_STEP, np.ones((3, 2), dtype=np.float32), None, Activation.TANH)
    spec = ModelSpec("two", "x", 2, None, (lstm_node, dense), (1, 0))
    got = reference(spec, random_inputs(spec, batch=4, steps=5))
    assert got["output.0"].shape == (4, 2)
    np.testing.assert_array_equal(got["output.1"], got["lstm.h"])
    np.testing.assert_array_equal(got["output.0"], np.tanh(got["lstm.h_last"] @ np.ones((3, 2))))


def test_an_lstm_needs_a_sequence() -> None:
    node = seeds.random_lstm(2, 3).nodes[0]
    assert isinstance(node, LstmNode)
    with pytest.raises(ValueError, match="needs a sequence"):
        lstm(node, np.ones((2, 2)), None, np.zeros((2, 3)), np.zeros((2, 3)))


def test_overflow_and_nan_in_a_network_are_values() -> None:
    case = seeds.linear_by_hand()
    x = np.full((1, 40, 2), 1e30, dtype=np.float32)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        got = reference(case.spec, Inputs(x=x))
    assert not np.all(np.isfinite(got["lstm.h"]))
