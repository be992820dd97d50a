"""Which mistakes inputs cannot show, among them those of the published examples."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

import networks
import seeds
from harness.compare.tolerance import Tolerance
from harness.diagnosis.explain import float32_tolerances
from harness.diagnosis.score import Score, score, to_be_seen
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.wire import Activation
from patience import PATIENCE_S
from planted import cases, classifier, one_lstm

CASES = list(cases())


def scored(spec: ModelSpec, inputs: Inputs, factor: float = 1.0) -> Score:
    float32 = float32_tolerances(reference(spec, inputs), reference(spec, inputs, np.float32))
    tolerances = {name: replace(each, atol=factor * each.atol) for name, each in float32.items()}
    return score(spec, inputs, tolerances, limit_s=PATIENCE_S)


def unseen(spec: ModelSpec, inputs: Inputs, factor: float = 1.0) -> set[str]:
    return {each.name for each in scored(spec, inputs, factor).unseen}


@pytest.mark.parametrize("case", range(len(CASES)), ids=lambda number: f"{number} {CASES[number][0].name}")
def test_random_inputs_show_nearly_everything(case: int) -> None:
    spec, inputs = CASES[case]
    result = scored(spec, inputs)
    assert result.mutations > 40
    allowed = {
        "weights_5_decimals",
        "time_reversed",
        "state_not_reset",
    }  # the head's; of a repeated vector; given states
    assert {each.name for each in result.unseen} <= allowed, result.line
    assert result.seen + len(result.unseen) == result.mutations
    json.dumps(result.to_json(), allow_nan=False)


def test_the_published_example_of_one_step() -> None:
    """One step from zero states: nothing of the recurrent kernel, of f, of the order of steps."""
    case = seeds.worked_example()
    names = unseen(case.spec, case.inputs)
    assert {"recurrent_kernel_transposed", "recurrent_kernel_reshaped", "forget_bias_twice", "bias_dropped"} <= names
    assert {"time_reversed", "state_not_reset", "weight_corrupted"} <= names
    assert "swap_gates_i_o" not in names


def test_the_published_example_without_activations() -> None:
    """A product does not tell its factors apart, and o has the same block as f."""
    case = seeds.linear_by_hand()
    assert {"swap_gates_i_c", "swap_gates_f_o", "forget_bias_twice"} <= unseen(case.spec, case.inputs)


def test_equal_gates_cannot_be_told_apart() -> None:
    node = seeds.random_lstm_node(3, 5, 4)
    kernel, recurrent_kernel = (np.tile(each[:, :5], 4) for each in (node.kernel, node.recurrent_kernel))
    node = replace(node, kernel=kernel, recurrent_kernel=recurrent_kernel, bias=None)
    spec = ModelSpec("equal", "x", 3, None, (node,), (0,))
    result = scored(spec, random_inputs(spec, batch=3, steps=6))
    assert {"swap_gates_f_c", "swap_gates_i_o", "gate_order_f_i_o_c"} <= set(result.equivalent)
    assert not {each.name for each in result.unseen} & set(result.equivalent)


def test_what_changes_nothing_is_equivalent() -> None:
    spec = one_lstm()
    node = spec.nodes[0]
    assert isinstance(node, LstmNode)
    without = replace(node, bias=np.zeros(20, np.float32), kernel=node.kernel.round(2).astype(np.float32))
    rounded = replace(without, recurrent_kernel=node.recurrent_kernel.round(2).astype(np.float32))
    result = scored(replace(spec, nodes=(rounded,)), random_inputs(spec, batch=2, steps=4))
    assert {"bias_dropped", "bias_twice", "forget_bias_twice", "weights_2_decimals"} <= set(result.equivalent)
    assert "weights_1_decimals" not in result.equivalent
    assert "linear_for_softmax" not in result.equivalent, "there is no softmax"


def test_what_a_model_has_no_room_for_is_not_counted() -> None:
    case = seeds.no_bias_16_32()
    result = scored(case.spec, case.inputs)
    names = {*result.equivalent, *(each.name for each in result.unseen)}
    assert not names & {"bias_dropped", "kernel_transposed"}, "there is no bias, and the kernel is not square"


def test_one_sequence_does_not_show_a_state_that_is_not_reset() -> None:
    spec = one_lstm()
    assert "state_not_reset" in unseen(spec, random_inputs(spec, batch=1, steps=6))
    assert "state_not_reset" not in unseen(spec, random_inputs(spec, batch=2, steps=6))


def test_an_input_that_is_never_used_hides_its_weights() -> None:
    spec = one_lstm()
    x = random_inputs(spec, batch=2, steps=6).x.copy()
    x[:, :, 1] = 0
    assert "weight_corrupted" in unseen(spec, Inputs(x))


def test_a_wide_tolerance_hides_mistakes() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=6)
    assert unseen(spec, inputs) == set()
    hidden = unseen(spec, inputs, 1e4)
    assert {"weights_float16", "weights_3_decimals"} <= hidden
    assert "swap_gates_f_c" not in hidden


def test_a_mistake_in_one_layer_must_be_seen_there() -> None:
    """Its weights are so small that the second LSTM's output hardly depends on anything."""
    spec = classifier()
    second = spec.nodes[1]
    assert isinstance(second, LstmNode)
    tiny = replace(second, recurrent_kernel=second.recurrent_kernel * np.float32(1e-9))
    spec = replace(spec, nodes=(spec.nodes[0], tiny, *spec.nodes[2:]))
    inputs = random_inputs(spec, batch=3, steps=6)
    assert ("recurrent_kernel_transposed", "second") in to_be_seen(spec, inputs)
    found = {each.text for each in scored(spec, inputs).unseen}
    assert "recurrent_kernel_transposed in second" in found
    assert "recurrent_kernel_transposed in first" not in found


def test_twice_the_tolerance_is_what_counts() -> None:
    """A mistake that moves by less could be made good by what a right device is off by."""
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    right = reference(spec, inputs)
    node = spec.nodes[0]
    assert isinstance(node, LstmNode)
    assert node.bias is not None
    moved = reference(replace(spec, nodes=(replace(node, bias=None),)), inputs)
    largest = float(np.abs(moved["output"] - right["output"]).max())
    for tolerances, is_seen in ((1.99, False), (2.01, True)):
        result = score(spec, inputs, {"output": Tolerance(largest / tolerances, 0, "test")}, limit_s=PATIENCE_S)
        assert ("bias_dropped" not in {each.name for each in result.unseen}) == is_seen


def test_what_is_left_when_the_time_is_up_is_said() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    seconds = iter(range(10**6))
    result = score(spec, inputs, {"output": Tolerance(1e-6, 0, "")}, limit_s=5, clock=lambda: float(next(seconds)))
    assert result.not_tried > 30
    assert result.warning is not None
    assert result.warning.startswith(f"{result.not_tried} more mistakes were not tried in time")


def test_coverage_counts_what_there_was() -> None:
    spec = one_lstm()
    x = np.zeros((1, 3, 3), np.float32)
    x[0, 0] = [1e-40, -2, 3]
    x[0, 2] = 100
    coverage = scored(spec, Inputs(x)).coverage
    assert (coverage.inputs.denormal, coverage.inputs.negative, coverage.inputs.zero) == (1, 1, 3)
    assert sum(values.saturated_low + values.saturated_high for values in coverage.gates["lstm"].values()) > 0
    assert set(coverage.gates["lstm"]) == {"i", "f", "c", "o"}
    calm = scored(spec, random_inputs(spec, batch=1, steps=3)).coverage
    assert "lstm gate i never saturated_low" in calm.gaps
    assert "inputs never denormal" in calm.gaps


def test_sums_of_gates_are_counted_in_float32() -> None:
    """Two units; gate i of the first one and gate f have no bias. Of gate f the second unit's sums are 1e-8 times x."""
    kernel = np.array([[1, 1, 1, 1e-8, 1, 1, 1, 1]])
    spec = seeds.single_lstm(kernel, np.ones((2, 8)), np.array([0, 1, 0, 0, 1, 1, -1, 1.0]))
    x = np.array([0, 1e-40, 1e-44, -2], np.float32).reshape(4, 1, 1)
    gates = scored(spec, Inputs(x)).coverage.gates["lstm"]
    counts = {gate: (each.negative, each.zero, each.positive, each.denormal) for gate, each in gates.items()}
    assert counts == {"i": (2, 1, 5, 2), "f": (2, 4, 2, 2), "c": (2, 0, 6, 0), "o": (5, 0, 3, 0)}


def test_what_no_inputs_can_show_of_a_model_is_not_looked_for() -> None:
    def looked_for(spec: ModelSpec) -> set[tuple[str, str | None]]:
        of_runs = {"state_not_reset", "time_reversed"}
        return {each for each in to_be_seen(spec, random_inputs(spec, batch=spec.batch or 2)) if each[0] in of_runs}

    spec, both = one_lstm(), {("state_not_reset", None), ("time_reversed", None)}
    assert looked_for(spec) == both
    assert looked_for(replace(spec, steps=1)) == {("state_not_reset", None)}
    assert looked_for(replace(spec, batch=1)) == {("time_reversed", None)}
    (node,) = spec.nodes
    assert isinstance(node, LstmNode)
    assert looked_for(replace(spec, batch=1, nodes=(replace(node, stateful=True),))) == both
    assert looked_for(replace(spec, nodes=(replace(node, h0_input="h"),))) == both, "c is not given"
    begun = replace(spec, nodes=(replace(node, h0_input="h", c0_input="c"),))
    assert looked_for(begun) == {("time_reversed", None)}
    assert looked_for(networks.encoder_decoder()) == both, "the decoder reads the same vector in each step"


def test_of_a_flatten_no_steps_are_left_out() -> None:
    """It is made for all steps: a shorter sequence, as is tried first where there are many, does not fit it."""
    spec = networks.flatten(steps=50)
    assert scored(spec, random_inputs(spec, batch=2)).seen > 30


@pytest.mark.parametrize("has_calls", [False, True])
def test_a_gap_is_told_only_where_other_inputs_close_it(has_calls: bool) -> None:
    node = seeds.random_lstm_node(3, 5, 4, activation=Activation.RELU, stateful=has_calls)
    assert node.bias is not None
    bias = np.where(np.arange(20) == 3, 0, 1).astype(np.float32)  # zero in the gate i of unit 3 alone
    spec = replace(one_lstm(), nodes=(replace(node, bias=bias),))
    inputs = random_inputs(spec, batch=2, steps=3)
    if has_calls:
        inputs = Inputs(np.stack([inputs.x, inputs.x]), reset_before=np.array([True, False]))
    coverage = scored(spec, inputs).coverage
    gaps = [gap for gap in coverage.gaps if gap.endswith(("zero", "denormal"))]
    assert gaps == [
        "inputs never zero",
        "inputs never denormal",
        "lstm gate i never zero",
        "lstm gate i never denormal",
    ]
    assert not coverage.gates["lstm"]["c"].saturated_high
    assert "lstm gate c never saturated_high" not in coverage.gaps
    assert coverage.to_json()["gaps"] == coverage.gaps
