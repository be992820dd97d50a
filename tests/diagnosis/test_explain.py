"""Every mistake is planted and has to be named; what is no mistake, or none of the table, must not be."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from harness.diagnosis.explain import explain
from harness.diagnosis.hypotheses import hypotheses
from harness.model.array_types import BoolArray, Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import LstmNode
from harness.model.spec import ModelSpec
from harness.oracle.activations import Array
from harness.oracle.reference import LstmRun, lstm, reference
from planted import NAMES, Planted, all_planted, classifier, one_lstm

PLANTED = list(all_planted())


def right(spec: ModelSpec, inputs: Inputs) -> dict[str, Float32Array]:
    return {name: np.asarray(array, np.float32) for name, array in reference(spec, inputs, np.float32).items()}


def test_every_mistake_is_planted() -> None:
    assert {each.mistake.name for each in PLANTED} == set(NAMES)
    assert len(NAMES) == len(set(NAMES))


@pytest.mark.parametrize("planted", PLANTED, ids=str)
def test_each_mistake_is_named(planted: Planted) -> None:
    explanation = explain(planted.spec, planted.inputs, planted.values)
    assert explanation.found, explanation.lines
    first = explanation.found[0]
    assert (first.name, first.layer) == (planted.mistake.name, planted.mistake.layer), explanation.lines
    assert len(explanation.found) == 1, "these inputs tell all mistakes apart"
    assert first.residual < 5e-6
    assert first.sentence == f"matches within {first.residual:.2g} if {planted.mistake.text}"


def test_the_outputs_alone_are_enough() -> None:
    for planted in PLANTED[::9]:
        output = {name: array for name, array in planted.values.items() if name == "output"}
        explanation = explain(planted.spec, planted.inputs, output)
        if not explanation.unchanged:
            assert planted.mistake.name in [each.name for each in explanation.found], str(planted)


def test_gates_are_explained_too() -> None:
    planted = next(each for each in PLANTED if each.mistake.name == "swap_gates_f_c")
    values = {
        name: np.asarray(array, np.float32) for name, array in planted.mistake.tensors(np.float32, gates=True).items()
    }
    (found,) = explain(planted.spec, planted.inputs, values).found
    assert found.name == "swap_gates_f_c"


def test_gates_under_wrong_names_do_not_hide_a_mistake() -> None:
    """An engine that takes block f for c may still send it as f."""
    planted = next(each for each in PLANTED if each.mistake.name == "swap_gates_f_c")
    right_gates = reference(planted.spec, planted.inputs, np.float32, gates=True)
    values = {name: np.asarray(array, np.float32) for name, array in right_gates.items() if name.endswith(".z")}
    (found,) = explain(planted.spec, planted.inputs, {**planted.values, **values}).found
    assert found.name == "swap_gates_f_c"


def test_gates_are_explained_where_the_rest_is_right() -> None:
    planted = next(each for each in PLANTED if each.mistake.name == "swap_gates_f_c")
    wrong = planted.mistake.tensors(np.float32, gates=True)
    gates = {name: np.asarray(array, np.float32) for name, array in wrong.items() if name.endswith((".z", ".gates"))}
    explanation = explain(planted.spec, planted.inputs, {**right(planted.spec, planted.inputs), **gates})
    assert not explanation.unchanged
    assert explanation.found == (), "no mistake leaves h and c right"
    (found,) = explain(planted.spec, planted.inputs, gates).found
    assert found.name == "swap_gates_f_c"


def test_values_of_the_right_model_have_no_mistake() -> None:
    spec = classifier()
    inputs = random_inputs(spec, batch=3, steps=9)
    explanation = explain(spec, inputs, right(spec, inputs))
    assert explanation.unchanged
    assert explanation.found == ()
    assert "within" in explanation.note


@pytest.mark.parametrize("size", [1e-5, 1e-3, 1.0])
def test_noise_has_no_name(size: float) -> None:
    spec = classifier()
    inputs = random_inputs(spec, batch=3, steps=9)
    generator = np.random.default_rng(1)
    values = {
        name: array + size * generator.standard_normal(array.shape).astype(np.float32)
        for name, array in right(spec, inputs).items()
    }
    explanation = explain(spec, inputs, values)
    assert explanation.found == ()
    assert not explanation.unchanged
    assert "none of" in explanation.note


def o_added(run: LstmRun, node: LstmNode) -> Array:
    return run.gates[..., 3 * node.units :] + np.tanh(run.c)


def late_by_a_step(run: LstmRun, node: LstmNode) -> Array:
    return np.concatenate([np.zeros_like(run.h[:, :1]), run.h[:, :-1]], axis=1)


@pytest.mark.parametrize("wrong_h", [o_added, late_by_a_step])
def test_a_mistake_that_is_in_no_table_has_no_name(wrong_h: Callable[[LstmRun, LstmNode], Array]) -> None:
    def run_lstm(node: LstmNode, x: Array, mask: BoolArray | None, h: Array, c: Array) -> LstmRun:
        run = lstm(node, x, mask, h, c)
        return replace(run, h=wrong_h(run, node))

    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=9)
    values = reference(spec, inputs, np.float32, run_lstm=run_lstm)
    explanation = explain(spec, inputs, {name: np.asarray(array, np.float32) for name, array in values.items()})
    assert explanation.found == ()
    assert not explanation.unchanged


def test_one_step_cannot_tell_mistakes_apart() -> None:
    """From zero states the recurrent kernel makes no difference, so nobody knows whether it is wrong too."""
    spec = one_lstm()
    inputs = random_inputs(spec, batch=3, steps=1)
    mistake = next(each for each in hypotheses(spec, inputs) if each.name == "kernel_reshaped")
    explanation = explain(spec, inputs, Planted(spec, inputs, mistake).values)
    assert [each.name for each in explanation.found] == ["kernel_reshaped", "kernels_reshaped"]
    assert explanation.lines[-1] == "these inputs cannot tell the mistakes above apart"


def test_values_that_are_not_finite() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=5)
    values = right(spec, inputs)
    values["lstm.h"][1, 2, 3] = np.nan
    explanation = explain(spec, inputs, values)
    assert explanation.found == ()
    assert explanation.residual == np.inf


def test_the_search_ends_in_time() -> None:
    planted = PLANTED[0]
    seconds = iter(range(10**6))
    explanation = explain(planted.spec, planted.inputs, planted.values, limit_s=3, clock=lambda: float(next(seconds)))
    assert explanation.tried <= 3
    assert "time was up" in explanation.note


@pytest.mark.parametrize("name", ["swap_gates_f_c", "weights_float16", "state_not_reset"])
def test_long_sequences_take_no_longer(name: str) -> None:
    """It is tried on the first wrong steps, and what fits there on all."""
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=600)
    mistake = next(each for each in hypotheses(spec, inputs) if each.name == name)
    explanation = explain(spec, inputs, Planted(spec, inputs, mistake).values, limit_s=60.0)
    assert [each.name for each in explanation.found] == [name]
