"""Which element is the first wrong one, and what is said of it."""

from __future__ import annotations

import json

import numpy as np
import pytest

import networks
from harness.compare.tolerance import Tolerance
from harness.diagnosis.bisection import Bisection, StepErrors
from harness.diagnosis.first_beyond import first_beyond
from harness.diagnosis.layers import behind_sums, layers_of, step_alone
from harness.model.array_types import Float32Array
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from planted import classifier, one_lstm, stateful


def values_of(spec: ModelSpec, inputs: Inputs, *, gates: bool = False) -> dict[str, Float32Array]:
    tensors = reference(spec, inputs, np.float32, gates=gates)
    return {name: np.asarray(array, np.float32).copy() for name, array in tensors.items()}


def first(spec: ModelSpec, inputs: Inputs, *wrong: tuple[str, tuple[int, ...]], gates: bool = False) -> str:
    expected, got = values_of(spec, inputs, gates=gates), values_of(spec, inputs, gates=gates)
    for number, (name, index) in enumerate(wrong):
        got[name][index] += 1 + number
    allowed = {name: Tolerance(1e-6, 0, "test") for name in expected}
    found = first_beyond(spec, expected, got, allowed, has_calls=inputs.reset_before is not None)
    assert found is not None
    assert found[1] == bool(wrong)
    return found[0].text


def test_an_earlier_step_comes_before_an_earlier_layer() -> None:
    spec = classifier()
    inputs = random_inputs(spec, batch=3, steps=5)
    wrong = (("first.h", (0, 3, 2)), ("second.h", (2, 1, 4)), ("second.c", (1, 4, 0)), ("output", (0, 0, 1)))
    assert first(spec, inputs, *wrong) == "seq 2 step 1 unit 4 of second.h"
    assert first(spec, inputs, ("first.h", (0, 3, 2)), ("second.c", (0, 3, 2))) == "seq 0 step 3 unit 2 of first.h"
    assert first(spec, inputs, ("first.h", (0, 3, 2)), ("first.h", (1, 3, 1))) == "seq 1 step 3 unit 1 of first.h"
    assert first(spec, inputs, ("output", (0, 2, 1))) == "seq 0 step 2 unit 1 of output"


def test_gates_have_names() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    wrong = ("lstm.gates", (1, 2, 5 + 3)), ("lstm.c", (1, 2, 3))
    assert first(spec, inputs, *wrong, gates=True) == "seq 1 step 2 gate f unit 3 of lstm.gates"


def test_calls_come_before_steps() -> None:
    spec, inputs = stateful()
    wrong = ("lstm.h", (2, 1, 0, 3)), ("lstm.c", (1, 0, 4, 2))
    assert first(spec, inputs, *wrong) == "call 1 seq 0 step 4 unit 2 of lstm.c"


def test_a_pass_comes_before_the_next() -> None:
    """The backward half of a Bidirectional runs first, whatever the order of its layers."""
    spec = networks.bidirectional()
    inputs = random_inputs(spec, batch=2, steps=4)
    wrong = ("bi.forward.h", (0, 0, 1)), ("bi.backward.h", (0, 3, 1))
    assert first(spec, inputs, *wrong) == "seq 0 step 3 unit 1 of bi.backward.h"


def test_where_nothing_is_wrong_a_step_is_shown() -> None:
    spec = one_lstm()
    assert first(spec, random_inputs(spec, batch=2, steps=4)).startswith("seq 0 step 0 unit 0 of lstm.")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([("lstm.c", (0, 2, 3), 1.01)], "seq 0 step 2 unit 3 of lstm.c"),
        ([("lstm.c", (0, 2, 3), 0.99), ("lstm.h", (1, 3, 1), 1.01)], "seq 1 step 3 unit 1 of lstm.h"),
        ([("lstm.c", (0, 3, 3), 5), ("lstm.h", (1, 2, 1), np.nan)], "seq 1 step 2 unit 1 of lstm.h"),
    ],
)
def test_beyond_is_more_than_is_allowed(wrong: list[tuple[str, tuple[int, ...], float]], said: str) -> None:
    assert shares_of(*wrong) == (said, True)


@pytest.mark.parametrize(("of_c", "of_h", "said"), [(0.5, 0.9, "lstm.h"), (0.9, 0.5, "lstm.c"), (1, 0.9, "lstm.c")])
def test_of_those_within_the_nearest_to_its_tolerance_is_shown(of_c: float, of_h: float, said: str) -> None:
    found = shares_of(("lstm.c", (0, 1, 2), of_c), ("lstm.h", (0, 1, 2), of_h))
    assert found == (f"seq 0 step 1 unit 2 of {said}", False)


def shares_of(*wrong: tuple[str, tuple[int, ...], float]) -> tuple[str, bool]:
    """What is found where elements are off by these shares of their tolerance, and whether it is beyond it."""
    spec = one_lstm()
    expected = {name: np.zeros_like(array) for name, array in values_of(spec, random_inputs(spec)).items()}
    got = {name: array.copy() for name, array in expected.items()}
    for name, index, share in wrong:
        got[name][index] = share
    found = first_beyond(spec, expected, got, dict.fromkeys(expected, Tolerance(1, 0, "test")), has_calls=False)
    assert found is not None
    return found[0].text, found[1]


@pytest.mark.parametrize("name", ["backwards stack", "bidirectional concatenate", "encoder decoder"])
def test_each_step_of_each_layer_follows_from_what_it_reads(name: str) -> None:
    spec = networks.ALL[name]()
    inputs = random_inputs(spec, batch=2, steps=6, seed=1)
    layers = layers_of(spec, inputs, reference(spec, inputs))
    assert set(layers) == {node.name for _, node in spec.lstm_nodes()}
    for layer in layers.values():
        values = step_alone(layer.node, layer.x, layer.h_before, layer.c_before)
        np.testing.assert_allclose(values.c, layer.c, rtol=0, atol=1e-12)
        np.testing.assert_allclose(values.h, layer.h, rtol=0, atol=1e-12)
        np.testing.assert_array_equal(behind_sums(layer.node, values.z, layer.c_before).c, values.c)


def test_steps_behind_masked_ones_and_resets() -> None:
    mask = np.random.default_rng(1).random((3, 8)) < 0.6
    masked = Inputs(random_inputs(one_lstm(), batch=3, steps=8).x, mask=mask)
    for spec, inputs in ((one_lstm(), masked), stateful()):
        layer = layers_of(spec, inputs, reference(spec, inputs))["lstm"]
        values = step_alone(layer.node, layer.x, layer.h_before, layer.c_before)
        np.testing.assert_allclose(values.c[layer.valid], layer.c[layer.valid], rtol=0, atol=1e-12)
        np.testing.assert_allclose(values.h[layer.valid], layer.h[layer.valid], rtol=0, atol=1e-12)


def test_no_layers_without_every_step() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    values = reference(spec, inputs)
    values.pop("lstm.c")
    assert layers_of(spec, inputs, values) == {}


def test_the_record_is_json() -> None:
    spec = one_lstm()
    inputs = random_inputs(spec, batch=2, steps=4)
    expected = values_of(spec, inputs)
    got = {**expected, "lstm.c": np.full_like(expected["lstm.c"], np.nan)}
    allowed = {name: Tolerance(1e-6, 0, "test") for name in expected}
    found = first_beyond(spec, expected, got, allowed, has_calls=False)
    assert found is not None
    record = Bisection(found[0], "local", (StepErrors(0, np.inf, None),)).to_json()
    json.dumps(record, allow_nan=False)
    assert record["first"]["got"] == "NaN"
    assert record["steps"] == [{"step": 0, "free_running": "Infinity", "teacher_forced": None}]
