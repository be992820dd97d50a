"""What each trace level fetches, on every target: the same bits, and fewer bytes the less is wanted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import networks
import seeds
from asked import Asked, asked_of
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.oracle.runtime import import_keras
from harness.validation import Validation, run_batch
from keras_graphs import decoder, stateful
from keras_models import save_model

Validate = Callable[..., Validation]


def traced(device: Device, spec: ModelSpec, inputs: Inputs, level: TraceLevel) -> dict[str, np.ndarray]:
    keep_gates = level is TraceLevel.GATES
    image = load_model(device, spec, inputs.steps, masked=inputs.mask is not None, keep_gates=keep_gates).image
    return run_batch(device, spec, inputs, plan=image.plan, level=level)[0]


@pytest.mark.parametrize("name", networks.ALL)
def test_a_level_changes_no_bit_of_what_it_has(device: Device, name: str) -> None:
    spec = networks.ALL[name]()
    inputs = random_inputs(spec, batch=2, steps=9, seed=4)
    whole = traced(device, spec, inputs, TraceLevel.HC)
    for level in TraceLevel:
        got = traced(device, spec, inputs, level)
        wanted = level.of(whole)
        assert wanted.keys() <= got.keys()
        for tensor, values in wanted.items():
            assert got[tensor].tobytes() == values.tobytes(), (level, tensor)


@pytest.mark.parametrize("masked", [False, True])
def test_the_last_output_alone(device: Device, masked: bool) -> None:
    """Of a layer that returns its last output, behind steps that repeat it and behind steps that zero it."""
    for zeroed in (False, True):
        node = seeds.random_lstm_node(3, 4, return_sequences=False, zero_output_for_mask=zeroed)
        spec = networks.network("last", node)
        inputs = random_inputs(spec, batch=3, steps=6, seed=1)
        mask = np.array([[True] * 6, [True, True, True, True, False, False], [False] * 6])
        inputs = Inputs(x=inputs.x, mask=mask if masked else None)
        got = traced(device, spec, inputs, TraceLevel.NONE)
        assert list(got) == ["output"]
        np.testing.assert_array_equal(got["output"], traced(device, spec, inputs, TraceLevel.HC)["lstm.h"][:, -1])


def test_a_long_run_without_a_trace_costs_little_more_than_its_input(device: Device) -> None:
    spec = networks.network("long", seeds.random_lstm_node(3, 60, return_sequences=False))
    inputs = random_inputs(spec, batch=1, steps=600)
    cost: dict[TraceLevel, Asked] = {}
    for level in (TraceLevel.NONE, TraceLevel.LAST, TraceLevel.H, TraceLevel.HC):
        with asked_of(device) as cost[level]:
            traced(device, spec, inputs, level)
    with asked_of(device) as loading:
        load_model(device, spec)
    assert cost[TraceLevel.NONE].requests - loading.requests == pytest.approx(600 * 12 / 2048, abs=6)
    assert cost[TraceLevel.HC].requests - loading.requests >= 150, "four steps a request, h and c being 480 bytes"
    replies = {level: asked.reply_bytes for level, asked in cost.items()}
    assert replies[TraceLevel.NONE] < replies[TraceLevel.LAST] < replies[TraceLevel.H] / 40
    assert replies[TraceLevel.H] < 0.6 * replies[TraceLevel.HC]


@pytest.mark.parametrize("trace", ["none", "last", "h", "hc"])
def test_states_that_are_carried_are_fetched_whatever_is_traced(validate: Validate, tmp_path: Path, trace: str) -> None:
    path = save_model(stateful(import_keras()), tmp_path)
    x_calls = np.random.default_rng(6).normal(size=(3, 3, 5, 2)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x_calls=x_calls, reset_before=np.array([True, False, True]))
    run = validate(path, tmp_path / "x.npz", trace=trace)
    assert run
    kinds = {"last": ("h_last", "c_last"), "h": ("h", "h_last", "c_last"), "hc": ("h", "c", "h_last", "c_last")}
    names = [f"{layer}.{kind}" for layer in ("first", "free", "second") for kind in kinds.get(trace, ())]
    assert sorted(run.got) == sorted([*names, "output"])
    assert sorted(result.name for result in run.results) == sorted(run.got)
    assert run.tolerances.keys() == run.max_abs_to_float64.keys() == run.got.keys()


def test_returned_states_are_outputs(validate: Validate, tmp_path: Path) -> None:
    run = validate(save_model(decoder(import_keras()), tmp_path), batch=2, steps=3, seed=1, trace="none")
    assert run
    assert list(run.got) == ["output.0", "output.1", "output.2"]
