"""The gates before and after their activations, as each kernel computes them, on every target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import networks
import seeds
from harness.device import Device
from harness.loading import load_image, load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.pack import ModelImage, pack_model
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.oracle.reference import reference
from harness.oracle.runtime import import_keras
from harness.protocol.messages import Read, Request, Run, Write
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import Activation, ErrorCode, Kernel, NodeFlags, Region, RunFlags, Trace
from harness.validation import Validation, run_batch
from harness.workbench import Workbench
from image_tables import joined, tables
from keras_models import save_model
from keras_networks import bidirectional

Validate = Callable[..., Validation]

ATOL = 1e-6  # as in test_sequences


def gates(device: Device, spec: ModelSpec, inputs: Inputs, kernel: Kernel) -> dict[str, np.ndarray]:
    """Everything with the gates, after h, c and outputs were the same as in a run without them."""
    results = []
    for level in (TraceLevel.HC, TraceLevel.GATES):
        image = load_model(
            device,
            spec,
            inputs.steps,
            masked=inputs.mask is not None,
            kernel=kernel,
            keep_gates=level is TraceLevel.GATES,
        ).image
        results.append(run_batch(device, spec, inputs, plan=image.plan, level=level)[0])
    without, got = results
    for name, values in without.items():
        assert got[name].tobytes() == values.tobytes(), name
    return got


def check(device: Device, spec: ModelSpec, inputs: Inputs, kernel: Kernel, rtol: float = 0.0) -> dict[str, np.ndarray]:
    got = gates(device, spec, inputs, kernel)
    expected = reference(spec, inputs, gates=True)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(got[name], values, rtol=rtol, atol=ATOL, err_msg=name)
    return got


@pytest.mark.parametrize(("input_size", "units"), [(1, 1), (1, 2), (3, 5), (2, 7), (16, 32)])
def test_shapes(device: Device, kernel: Kernel, input_size: int, units: int) -> None:
    spec = seeds.random_lstm(input_size, units, seed=units, bias=units != 5)
    check(device, spec, random_inputs(spec, batch=2, steps=5, seed=units), kernel)


def test_gates_wider_than_a_frame(device: Device, kernel: Kernel) -> None:
    """Each step's go by reads."""
    spec = seeds.random_lstm(2, 70)
    assert device.info.max_payload_bytes < 8 * 70 * 4
    check(device, spec, random_inputs(spec, batch=1, steps=3), kernel, rtol=1e-6)


@pytest.mark.parametrize(
    "activation", [Activation.SOFTMAX, Activation.RELU, Activation.HARD_SIGMOID, Activation.SIGMOID]
)
def test_other_activations(device: Device, kernel: Kernel, activation: Activation) -> None:
    nodes = (
        seeds.random_lstm_node(3, 5, 1, name="a", activation=activation),
        seeds.random_lstm_node(5, 4, 2, name="b", source=0, recurrent_activation=activation),
    )
    spec = ModelSpec("activation", "x", 3, None, nodes, (1,))
    check(device, spec, random_inputs(spec, batch=2, steps=4), kernel, rtol=5e-6)


def test_masked_steps_have_zeros(device: Device, kernel: Kernel) -> None:
    nodes = (
        seeds.random_lstm_node(3, 4, 1, name="a"),
        seeds.random_lstm_node(4, 5, 2, name="b", source=0, zero_output_for_mask=True),
        seeds.random_lstm_node(5, 2, 3, name="c", source=1, masked=False),
    )
    spec = ModelSpec("masks", "x", 3, None, nodes, (2,))
    inputs = random_inputs(spec, batch=3, steps=9)
    mask = np.random.default_rng(1).random((3, 9)) < 0.6
    mask[2] = False
    got = check(device, spec, Inputs(x=inputs.x, mask=mask), kernel)
    for name in ("a.z", "a.gates", "b.z", "b.gates"):
        assert ((got[name] == 0).all(axis=-1) == ~mask).all(), name
    assert (got["c.gates"] != 0).any(axis=-1).all(), "it ignores the mask"


@pytest.mark.parametrize("name", ["backwards stack", "bidirectional concatenate", "encoder decoder"])
def test_networks_of_several_passes(device: Device, kernel: Kernel, name: str) -> None:
    spec = networks.ALL[name]()
    check(device, spec, random_inputs(spec, batch=2, steps=6, seed=4), kernel)


def test_states_that_are_given(device: Device, kernel: Kernel) -> None:
    """A written h is not the output of the step before."""
    spec = seeds.random_lstm(2, 7)
    generator = np.random.default_rng(2)
    states = {f"lstm.{state}": generator.normal(size=(2, 7)).astype(np.float32) for state in ("h0", "c0")}
    check(device, spec, Inputs(x=random_inputs(spec, batch=2, steps=3).x, initial=states), kernel)


@pytest.mark.filterwarnings("ignore:overflow")
def test_values_that_the_table_does_not_take(device: Device, kernel: Kernel) -> None:
    """An infinity and a NaN in one block of units each: the block is computed with other functions."""
    node = seeds.random_lstm_node(1, 7, 3)
    weights = node.kernel.copy()
    weights[0, :3], weights[0, 3:6] = [3e38, -3e38, 3e38], [1, 2, 3]
    spec = ModelSpec("odd", "x", 1, None, (replace(node, kernel=weights),), (0,))
    x = np.array([[[8.0], [0.5]], [[-8.0], [1.0]], [[np.nan], [0.0]]], np.float32)
    got = gates(device, spec, Inputs(x=x), kernel)
    expected = reference(spec, Inputs(x=x), np.float32, gates=True)
    np.testing.assert_array_equal(np.isnan(got["lstm.gates"]), np.isnan(expected["lstm.gates"]))
    np.testing.assert_allclose(got["lstm.gates"], expected["lstm.gates"], rtol=0, atol=ATOL)
    assert np.isinf(got["lstm.z"][0, 0, :3]).all()


def test_every_way_gives_the_same_bits(both: tuple[Workbench, Workbench], kernel: Kernel) -> None:
    for make in (networks.bidirectional_stack, lambda: seeds.random_lstm(3, 8, scale=4.0)):
        spec = make()
        inputs = random_inputs(spec, batch=1, steps=7, seed=9)
        first, second = (gates(bench.device(), spec, inputs, kernel) for bench in both)
        for name in first:
            assert first[name].tobytes() == second[name].tobytes(), (spec.name, name)


@pytest.mark.parametrize("name", ["arm_math", "packed", "packed_fma"])
def test_against_keras(validate: Validate, tmp_path: Path, name: str) -> None:
    path = save_model(bidirectional(import_keras()), tmp_path)
    x = np.random.default_rng(1).normal(size=(3, 6, 3)).astype(np.float32)
    np.savez(tmp_path / "x.npz", x=x, mask=np.array([[True] * 6, [True, False] * 3, [False] * 6]))
    run = validate(path, tmp_path / "x.npz", kernel=name, trace="gates")
    assert run
    assert run.got["bi.backward.z"].shape == (3, 6, 16)
    assert {"bi.forward.gates", "bi.backward.gates"} <= {result.name for result in run.results}


def with_flags(image: ModelImage, flags: NodeFlags) -> ModelImage:
    header, (node, *others), sources, tensors = tables(image)
    return joined(image, (header, [replace(node, flags=flags), *others], sources, tensors))


def refusal(device: Device, request: Request[Any]) -> ErrorCode:
    with pytest.raises(DeviceRefused) as refused:
        device.request(request)
    return refused.value.reply.code


def test_images_that_say_it_wrongly(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(3, 5)
    keeping = pack_model(spec, kernel=kernel, keep_gates=True)
    not_keeping = pack_model(spec, kernel=kernel)
    assert keeping.work_bytes - not_keeping.work_bytes >= 8 * 5 * 4
    flags = tables(keeping)[1][0].flags
    for image, changed in ((keeping, flags & ~NodeFlags.KEEP_GATES), (not_keeping, flags)):
        with pytest.raises(DeviceRefused) as refused:
            load_image(device, with_flags(image, changed))
        assert refused.value.reply.code == ErrorCode.BAD_WORK_SIZE
    dense = networks.network("dense", networks.dense(3, 4, None, networks.STEP))
    with pytest.raises(DeviceRefused) as refused:
        load_image(device, with_flags(pack_model(dense), NodeFlags.OUTPUT | NodeFlags.KEEP_GATES))
    assert refused.value.reply.code == ErrorCode.BAD_NODE


def test_the_region_of_the_gates(device: Device, kernel: Kernel) -> None:
    spec = seeds.random_lstm(3, 5)
    size_bytes = 8 * 5 * 4
    load_model(device, spec, kernel=kernel)
    run = Run(steps=1, flags=RunFlags.RESET_STATE, trace=Trace.GATES, data=np.ones(3, "<f4").tobytes())
    assert device.request(run).data == b"", "the image keeps none"
    assert refusal(device, Read(region=Region.GATES, node=0, length=4)) == ErrorCode.BAD_REGION
    load_model(device, spec, kernel=kernel, keep_gates=True)
    traced = device.request(run).data
    assert device.request(Read(region=Region.GATES, node=0, length=size_bytes)).data == traced
    assert refusal(device, Read(region=Region.GATES, node=0, offset=4, length=size_bytes)) == ErrorCode.OUT_OF_RANGE
    assert refusal(device, Read(region=Region.GATES, node=1, length=4)) == ErrorCode.BAD_REGION
    assert refusal(device, Write(region=Region.GATES, node=0, data=bytes(4))) == ErrorCode.BAD_REGION
    assert refusal(device, Read(region=6, node=0, length=4)) == ErrorCode.BAD_REGION  # type: ignore[arg-type]
