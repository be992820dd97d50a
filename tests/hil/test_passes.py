"""Networks of several passes on the device: go_backwards, Bidirectional, RepeatVector, Reshape, Flatten, merges."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import networks
from harness.device import Device
from harness.errors import ModelRefused
from harness.inference import SequenceRunner
from harness.loading import load_model
from harness.model.inputs import Inputs, random_inputs
from harness.model.nodes import Source
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import ImageBegin, Read, Run, StateReset
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import BeginFlags, Capability, ErrorCode, Kernel, Operation, Region, RunFlags, Trace
from harness.validation import run_batch

ATOL = 1e-6  # twice the least default tolerance, as in test_sequences


def check(
    device: Device, spec: ModelSpec, inputs: Inputs, atol: float = ATOL, kernel: Kernel = Kernel.ARM_MATH
) -> dict[str, np.ndarray]:
    """Run on the device and hold everything against float64."""
    masked = inputs.mask is not None
    loaded = load_model(device, spec, inputs.longest(spec), masked=masked, kernel=kernel)
    got, _ = run_batch(device, spec, inputs, plan=loaded.image.plan)
    expected = reference(spec, inputs)
    assert got.keys() == expected.keys()
    for name, values in expected.items():
        assert got[name].shape == values.shape, name
        np.testing.assert_allclose(got[name], values, rtol=0, atol=atol, err_msg=name)
    return got


def mask_of(inputs: Inputs) -> np.ndarray:
    """A mask whose first and last steps count for some rows and not for others; one row counts nowhere."""
    mask = np.random.default_rng(3).random((inputs.batch, inputs.steps)) > 0.4
    mask[0, 0], mask[0, -1], mask[1, 0], mask[1, -1], mask[2] = True, False, False, True, False
    return mask


FIXED_STEPS = ("flatten", "reshape", "several inputs")


@pytest.mark.parametrize("name", networks.ALL)
def test_networks(device: Device, kernel: Kernel, name: str) -> None:
    spec = networks.ALL[name]()
    check(device, spec, random_inputs(spec, batch=2, steps=9, seed=4), kernel=kernel)


@pytest.mark.parametrize("name", [name for name in networks.ALL if name not in FIXED_STEPS])
def test_networks_with_a_mask(device: Device, kernel: Kernel, name: str) -> None:
    spec = networks.ALL[name]()
    inputs = random_inputs(spec, batch=3, steps=11, seed=5)
    check(device, spec, Inputs(x=inputs.x, mask=mask_of(inputs)), kernel=kernel)


def test_initial_states_of_every_pass(device: Device) -> None:
    spec = networks.bidirectional()
    inputs = random_inputs(spec, batch=2, steps=5)
    states = {
        f"bi.{half}.{state}": np.full((2, 4), value, np.float32)
        for half, state, value in (("forward", "h0", 0.5), ("forward", "c0", -1), ("backward", "c0", 2))
    }
    with_states = check(device, spec, Inputs(x=inputs.x, initial=states))
    without = check(device, spec, inputs)
    assert (with_states["bi.backward.h"][:, 0] != without["bi.backward.h"][:, 0]).any()


def test_kept_steps_wider_than_a_frame(device: Device, kernel: Kernel) -> None:
    """Records that go by reads, inputs that are staged, in every pass."""
    nodes = (
        *networks.halves(300, 5, None, "wide", sequences=True),
        networks.merge(Operation.CONCATENATE, networks.STEP, 10, Source(0), Source(1, reverse=True)),
        networks.dense(10, 270, 2, networks.STEP),
        networks.halves(270, 2, 3, "next", sequences=True)[1],
    )
    spec = replace(networks.network("wide", *nodes, outputs=(3, 4)), input_size=300)
    check(device, spec, random_inputs(spec, batch=1, steps=4), 4 * ATOL, kernel)  # sums of 300 products


def test_a_sequence_that_streams_may_be_of_any_length(device: Device) -> None:
    spec = networks.residual()
    inputs = random_inputs(spec, batch=1, steps=2000)
    loaded = load_model(device, spec, inputs.steps, masked=False)
    assert loaded.image.work_bytes < 400
    got, _ = run_batch(device, spec, inputs, plan=loaded.image.plan)
    np.testing.assert_allclose(got["output"], reference(spec, inputs)["output"], rtol=0, atol=ATOL)


def test_a_sequence_that_does_not_fit_is_refused_with_what_would(device: Device) -> None:
    spec = networks.bidirectional()
    with pytest.raises(ModelRefused, match=r"\d+ of them to keep 60000 steps") as refused:
        load_model(device, spec, 60000)
    fitting_steps = int(refused.value.remedy.split("at most ")[1].split()[0])
    load_model(device, spec, fitting_steps)
    with pytest.raises(ModelRefused):
        load_model(device, spec, fitting_steps + 1)
    if device.info.capabilities & Capability.STORE_WRITE:  # where the image went: an unfinished write leaves none there
        flags = BeginFlags.TO_STORE | BeginFlags.DROP_OLD
        device.request(ImageBegin(image_bytes=64, work_bytes=8, flags=flags))


def test_many_steps_of_a_later_pass_in_one_request_equal_many_requests(device: Device) -> None:
    spec = networks.bidirectional()
    x = random_inputs(spec, batch=1, steps=12).x[0]
    plan = load_model(device, spec, 12).image.plan
    whole = SequenceRunner(device, spec, plan).run(x)
    flags = RunFlags.RESET_STATE
    for pass_index, rows in enumerate((x[::-1], x)):
        for row in rows:
            device.request(Run(steps=1, flags=flags, pass_index=pass_index, data=row.tobytes()))
            flags = RunFlags.NONE
        end = device.request(Run(steps=0, flags=RunFlags.END, trace=Trace.FINAL_STATE, pass_index=pass_index))
        name = ("bi.backward", "bi.forward")[pass_index]
        states = np.concatenate([whole.arrays[f"{name}.h_last"], whole.arrays[f"{name}.c_last"]])
        assert end.data == states.tobytes()


def refused_with(device: Device, run: Run) -> tuple[ErrorCode, int, int]:
    with pytest.raises(DeviceRefused) as refused:
        device.request(run)
    reply = refused.value.reply
    return reply.code, reply.detail, reply.detail2


def test_the_order_of_passes_is_held(device: Device) -> None:
    spec = networks.bidirectional()
    load_model(device, spec, 3)
    row, end = bytes(12), RunFlags.END
    device.request(StateReset())
    assert refused_with(device, Run(steps=1, pass_index=1, data=row)) == (ErrorCode.BAD_PASS, 1, 0)
    device.request(Run(steps=1, pass_index=0, data=row))
    assert refused_with(device, Run(steps=1, pass_index=1, data=row)) == (ErrorCode.BAD_PASS, 1, 0)
    device.request(Run(steps=0, flags=end, pass_index=0))
    assert refused_with(device, Run(steps=0, flags=end, pass_index=2)) == (ErrorCode.BAD_PASS, 2, 1)
    assert refused_with(device, Run(steps=0, flags=end, pass_index=255))[0] == ErrorCode.BAD_PASS
    assert refused_with(device, Run(steps=2, pass_index=1, data=row * 2)) == (ErrorCode.BEYOND_SEQUENCE, 2, 1)
    device.request(Run(steps=1, pass_index=1, data=row))
    assert refused_with(device, Run(steps=1, pass_index=1, data=row)) == (ErrorCode.BEYOND_SEQUENCE, 2, 1)
    device.request(Run(steps=1, pass_index=0, data=row))  # begins again
    assert refused_with(device, Run(steps=1, pass_index=1, data=row)) == (ErrorCode.BAD_PASS, 1, 0)
    device.request(Run(steps=2, pass_index=0, data=row * 2))
    assert refused_with(device, Run(steps=1, pass_index=0, data=row)) == (ErrorCode.BEYOND_SEQUENCE, 4, 3)
    reset = Run(steps=1, flags=RunFlags.RESET_STATE, pass_index=1, data=row)
    assert refused_with(device, reset)[0] == ErrorCode.BAD_RUN


def test_a_vector_of_all_steps_needs_all_of_them(device: Device) -> None:
    load_model(device, networks.flatten(6))
    device.request(Run(steps=5, flags=RunFlags.RESET_STATE, data=bytes(60)))
    too_early = Run(steps=0, flags=RunFlags.END)
    assert refused_with(device, too_early) == (ErrorCode.BEYOND_SEQUENCE, 5, 0)
    too_many = Run(steps=2, data=bytes(24))
    assert refused_with(device, too_many) == (ErrorCode.BEYOND_SEQUENCE, 7, 6)
    device.request(Run(steps=1, flags=RunFlags.END, data=bytes(12)))


def test_the_input_of_a_pass_that_reads_none_is_not_sent(device: Device) -> None:
    load_model(device, networks.encoder_decoder())
    device.request(Run(steps=1, flags=RunFlags.RESET_STATE | RunFlags.END, data=bytes(12)))
    assert refused_with(device, Run(steps=1, pass_index=1, data=bytes(12)))[0] == ErrorCode.BAD_LENGTH
    device.request(Run(steps=1, pass_index=1))


def test_a_sequence_after_another_starts_afresh(device: Device) -> None:
    """State goes on where it is not reset; steps, and what masked steps repeat, do not."""
    spec = networks.backwards()
    x = random_inputs(spec, batch=1, steps=2).x[0]
    load_model(device, spec)
    ending = Run(steps=2, flags=RunFlags.RESET_STATE | RunFlags.END, data=x.tobytes())
    device.request(ending)
    masked = Run(steps=1, flags=RunFlags.MASK, trace=Trace.H | Trace.C, data=bytes(4) + x[:1].tobytes())
    h, c = np.frombuffer(device.request(masked).data, np.float32).reshape(2, 4)
    assert (h == 0).all()
    assert (c != 0).all()


def test_a_pass_without_steps_gives_nothing_of_the_one_before(device: Device) -> None:
    spec = networks.residual()
    x = random_inputs(spec, batch=1, steps=1).x[0]
    load_model(device, spec)
    the_sum = Read(region=Region.OUTPUT, node=2, length=16)
    device.request(Run(steps=1, flags=RunFlags.RESET_STATE | RunFlags.END, data=x.tobytes()))
    assert any(device.request(the_sum).data)
    device.request(Run(steps=0, flags=RunFlags.END))
    assert device.request(the_sum).data == bytes(16)


def test_every_way_gives_the_same_bits(both, kernel: Kernel) -> None:  # type: ignore[no-untyped-def]
    for make in networks.ALL.values():
        spec = make()
        inputs = random_inputs(spec, batch=1, steps=7, seed=9)
        results = []
        for bench in both:
            load_model(bench.device(), spec, inputs.steps, kernel=kernel)
            results.append(run_batch(bench.device(), spec, inputs)[0])
        for name in results[0]:
            assert results[0][name].tobytes() == results[1][name].tobytes(), (spec.name, name)
