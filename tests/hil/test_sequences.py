"""How sequences are cut, carried over and kept apart; every way that inputs and results can go over the link."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import seeds
from asked import asked_of
from harness.device import Device
from harness.inference import SequenceRunner
from harness.loading import load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import ActivationNode, DenseNode
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import Run
from harness.protocol.wire import Activation, Kernel, Phase, RunFlags, Trace
from harness.validation import run_batch

ATOL = 1e-6  # twice the least default tolerance: some of these run for long or are wide


def check(device: Device, spec: ModelSpec, kernel: Kernel, inputs: Inputs, rtol: float = 0.0) -> dict[str, np.ndarray]:
    """Run on the device and hold everything against float64."""
    load_model(device, spec, kernel=kernel)
    got, _ = run_batch(device, spec, inputs)
    expected = reference(spec, inputs)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        assert got[name].shape == values.shape, name
        np.testing.assert_allclose(got[name], values, rtol=rtol, atol=ATOL, err_msg=name)
    return got


def dense(index: int, source: int, phase: Phase, inputs: int, units: int, activation: Activation) -> DenseNode:
    generator = np.random.default_rng(index)
    kernel = generator.normal(0, 0.3, (inputs, units)).astype(np.float32)
    return DenseNode(f"dense{index}", source, phase, kernel, kernel[0].copy(), activation)


def stacked() -> ModelSpec:
    """Two LSTMs, a Dense on every step, one LSTM that returns its last output, a softmax head."""
    nodes = (
        seeds.random_lstm_node(5, 7, 1, name="a"),
        seeds.random_lstm_node(7, 3, 2, name="b", source=0),
        dense(2, 1, Phase.EVERY_STEP, 3, 4, Activation.TANH),
        seeds.random_lstm_node(4, 6, 3, name="c", source=2, return_sequences=False),
        dense(4, 3, Phase.AFTER_LAST_STEP, 6, 5, Activation.LINEAR),
        ActivationNode("probabilities", 4, Phase.AFTER_LAST_STEP, 5, Activation.SOFTMAX),
    )
    return ModelSpec("stacked", "x", 5, None, nodes, (5,))


@pytest.mark.parametrize(("input_size", "units"), [(1, 1), (1, 2), (3, 5), (2, 7), (64, 33), (2, 75), (16, 32)])
def test_shapes(device: Device, kernel: Kernel, input_size: int, units: int) -> None:
    spec = seeds.random_lstm(input_size, units, seed=units)
    check(device, spec, kernel, random_inputs(spec, batch=2, steps=9, seed=units))


@pytest.mark.parametrize("activation", Activation)
def test_activations_of_the_gates_and_of_a_head(device: Device, kernel: Kernel, activation: Activation) -> None:
    nodes = (
        seeds.random_lstm_node(3, 5, 1, name="a", activation=activation),
        seeds.random_lstm_node(5, 4, 2, name="b", source=0, recurrent_activation=activation),
        dense(2, 1, Phase.EVERY_STEP, 4, 4, activation),
    )
    spec = ModelSpec("activation", "x", 3, None, nodes, (2,))
    # Three steps, and an error relative to the value: what is not bounded grows fast.
    check(device, spec, kernel, random_inputs(spec, batch=2, steps=3, seed=1), rtol=5e-6)


def test_stacked_layers_and_heads(device: Device, kernel: Kernel) -> None:
    spec = stacked()
    check(device, spec, kernel, random_inputs(spec, batch=3, steps=20, seed=1))


def test_several_outputs_are_kept_apart(device: Device, kernel: Kernel) -> None:
    spec = replace(stacked(), outputs=(5, 2, 1))
    load_model(device, spec, kernel=kernel)
    inputs = random_inputs(spec, batch=2, steps=5, seed=1)
    got, _ = run_batch(device, spec, inputs)
    for place, node in enumerate(spec.outputs):
        alone = reference(replace(spec, outputs=(node,)), inputs)["output"]
        np.testing.assert_allclose(got[f"output.{place}"], alone, rtol=0, atol=ATOL)


def test_an_input_wider_than_a_frame_is_staged(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(1500, 3)
    check(device, spec, kernel, random_inputs(spec, batch=2, steps=3))


def test_a_record_wider_than_a_frame_is_read_in_pieces(device: Device, kernel: Kernel) -> None:
    lstm = seeds.random_lstm_node(1, 20)
    nodes = (lstm, dense(1, 0, Phase.EVERY_STEP, 20, 300, Activation.LINEAR))
    spec = ModelSpec("wide", "x", 1, None, nodes, (1,))
    check(device, spec, kernel, random_inputs(spec, batch=1, steps=3))


def test_an_output_wider_than_a_frame_is_read_in_pieces(device: Device, kernel: Kernel) -> None:
    lstm = seeds.random_lstm_node(2, 9, return_sequences=False)
    nodes = (lstm, dense(1, 0, Phase.AFTER_LAST_STEP, 9, 1200, Activation.SIGMOID))
    spec = ModelSpec("wide_head", "x", 2, None, nodes, (1,))
    check(device, spec, kernel, random_inputs(spec, batch=1, steps=3))


def test_a_long_sequence(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(3, 8, seed=4)
    check(device, spec, kernel, random_inputs(spec, batch=1, steps=1000, seed=4))


def test_a_long_sequence_is_cut_into_full_requests(device: Device, kernel: Kernel) -> None:
    """Also with a mask, whose bits take room in each request but not those of the whole sequence."""
    spec = seeds.random_lstm(1, 1)
    load_model(device, spec, kernel=kernel)
    x = np.zeros((5000, 1), np.float32)
    for mask in (None, np.ones(5000, np.bool_)):
        with asked_of(device) as asked:
            SequenceRunner(device, spec).run(x, mask)
        assert 0 < asked.requests <= 5000 * 12 / 1000 + 3


def test_masks_hold_state_and_repeat_the_output(device: Device, kernel: Kernel) -> None:
    for zero_output in (False, True):
        node = seeds.random_lstm_node(3, 5, zero_output_for_mask=zero_output)
        spec = ModelSpec("masked", "x", 3, None, (node,), (0,))
        x = random_inputs(spec, batch=4, steps=70, seed=2).x.copy()
        mask = np.random.default_rng(3).random((4, 70)) < 0.6
        mask[0, :5] = False
        mask[1] = False
        mask[2] = True
        x[~mask] = np.nan  # must not leak
        got = check(device, spec, kernel, Inputs(x=x, mask=mask))
        assert not np.isnan(got["lstm.h"]).any()
        np.testing.assert_array_equal(got["lstm.h"][1], 0)


def test_an_lstm_that_ignores_the_mask(device: Device, kernel: Kernel) -> None:
    """Whatever the place of the one that obeys, though Keras makes no model in which one behind it does not."""
    x = random_inputs(seeds.random_lstm(3, 5), batch=3, steps=40, seed=2).x
    mask = np.random.default_rng(3).random((3, 40)) < 0.5
    mask[0] = False
    for obeying in ((False, True), (True, False)):
        nodes = (
            seeds.random_lstm_node(3, 5, 1, name="a", masked=obeying[0], zero_output_for_mask=True),
            seeds.random_lstm_node(5, 4, 2, name="b", source=0, masked=obeying[1], zero_output_for_mask=True),
        )
        got = check(device, ModelSpec("ignoring", "x", 3, None, nodes, (1,)), kernel, Inputs(x=x, mask=mask))
        for name, obeys in zip("ab", obeying, strict=True):
            assert got[f"{name}.h"][~mask].any() != obeys


def test_initial_states(device: Device, kernel: Kernel) -> None:
    spec = stacked()
    generator = np.random.default_rng(5)
    initial = {
        name: generator.normal(0, 0.5, (2, units)).astype(np.float32)
        for name, units in (("a.h0", 7), ("a.c0", 7), ("c.c0", 6))
    }
    inputs = random_inputs(spec, batch=2, steps=4)
    with_states = check(device, spec, kernel, Inputs(x=inputs.x, initial=initial))
    without = check(device, spec, kernel, inputs)
    assert (with_states["a.h"][:, 0] != without["a.h"][:, 0]).any()


def test_nan_and_infinity_pass_through(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(3, 4)
    x = random_inputs(spec, batch=2, steps=6).x.copy()
    x[0, 3, 1] = np.nan
    x[1, 2, 0] = np.inf
    load_model(device, spec, kernel=kernel)
    got, _ = run_batch(device, spec, Inputs(x=x))
    assert np.isnan(got["lstm.h"][0, 3:]).all()
    assert not np.isnan(got["lstm.h"][0, :3]).any()
    assert (got["lstm.h"][0, 3:].view(np.uint32) == 0x7FC00000).all(), "NaN must be the one canonical NaN"
    expected = reference(spec, Inputs(x=x))
    np.testing.assert_allclose(got["lstm.h"][1], expected["lstm.h"][1], rtol=0, atol=ATOL, equal_nan=True)


def test_one_call_of_many_steps_equals_many_of_one(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(4, 6)
    load_model(device, spec, kernel=kernel)
    x = random_inputs(spec, batch=1, steps=12).x[0]
    whole = SequenceRunner(device, spec).run(x)
    flags = RunFlags.RESET_STATE
    for step, row in enumerate(x):
        reply = device.request(Run(steps=1, flags=flags, trace=Trace.H | Trace.C, data=row.tobytes()))
        record = np.frombuffer(reply.data, np.float32)
        assert record[:6].tobytes() == whole.arrays["lstm.h"][step].tobytes()
        assert record[6:].tobytes() == whole.arrays["lstm.c"][step].tobytes()
        flags = RunFlags.NONE


def test_sequences_do_not_leak_into_each_other(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(4, 6)
    load_model(device, spec, kernel=kernel)
    inputs = random_inputs(spec, batch=3, steps=8)
    runner = SequenceRunner(device, spec)
    first = runner.run(inputs.x[0])
    runner.run(inputs.x[1])
    again = runner.run(inputs.x[0])
    for name, values in first.arrays.items():
        assert values.tobytes() == again.arrays[name].tobytes(), name
    device.reset()
    load_model(device, spec, kernel=kernel)
    after_boot = SequenceRunner(device, spec).run(inputs.x[0])
    assert after_boot.arrays["lstm.h"].tobytes() == first.arrays["lstm.h"].tobytes()


def test_every_way_gives_the_same_bits_for_everything(both, kernel: Kernel) -> None:  # type: ignore[no-untyped-def]
    cases = [(stacked(), 3, 20), (seeds.random_lstm(16, 32, scale=3.0), 2, 40), (seeds.random_lstm(1, 33), 1, 64)]
    for activation in Activation:
        node = seeds.random_lstm_node(3, 5, scale=4.0, activation=activation)
        cases.append((ModelSpec(activation.name, "x", 3, None, (node,), (0,)), 2, 15))
    for spec, batch, steps in cases:
        inputs = random_inputs(spec, batch, steps, seed=9)
        results = []
        for bench in both:
            load_model(bench.device(), spec, kernel=kernel)
            results.append(run_batch(bench.device(), spec, inputs)[0])
        for name in results[0]:
            assert results[0][name].tobytes() == results[1][name].tobytes(), (spec.name, name)
