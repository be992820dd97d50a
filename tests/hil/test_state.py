"""State on the device: how a sequence is cut changes no bit, and state goes out and in over the link as it is."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import seeds
from harness.device import Device
from harness.loading import load_model
from harness.model.inputs import random_inputs
from harness.model.spec import ModelSpec
from harness.protocol.messages import Read, Run, StateReset, Write
from harness.protocol.wire import Kernel, Region, RunFlags, Trace

STEPS = 24
UNITS = (7, 3)


def stack() -> ModelSpec:
    """Two LSTMs, both of which have state."""
    nodes = (
        seeds.random_lstm_node(4, UNITS[0], 1, name="a", scale=2.0),
        seeds.random_lstm_node(UNITS[0], UNITS[1], 2, name="b", source=0, zero_output_for_mask=True),
    )
    return ModelSpec("stack", "x", 4, None, nodes, (1,))


def sequence(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Values of STEPS steps, and which of them count."""
    x = random_inputs(stack(), batch=1, steps=STEPS, seed=seed).x[0]
    return x, np.random.default_rng(seed).random(STEPS) < 0.8


def run(device: Device, x: np.ndarray, mask: np.ndarray, *, reset: bool) -> bytes:
    """Steps in one request; h and c of both layers at each of them."""
    bits = np.packbits(mask, bitorder="little").tobytes()
    padded = bits + bytes(-len(bits) % 4)
    flags = RunFlags.MASK | (RunFlags.RESET_STATE if reset else RunFlags.NONE)
    request = Run(steps=len(x), flags=flags, trace=Trace.H | Trace.C, data=padded + x.tobytes())
    return device.request(request).data


def states(device: Device) -> list[bytes]:
    """h and c of both layers."""
    return [
        device.request(Read(region=region, node=node, length=4 * units)).data
        for node, units in enumerate(UNITS)
        for region in (Region.STATE_H, Region.STATE_C)
    ]


@pytest.fixture
def stack_device(device: Device, kernel: Kernel) -> Device:
    load_model(device, stack(), kernel=kernel)
    return device


@pytest.mark.parametrize("seed", range(4))
def test_however_a_sequence_is_cut_the_bits_are_the_same(stack_device: Device, seed: int) -> None:
    x, mask = sequence(seed)
    record_bytes = 2 * 4 * sum(UNITS)
    steps_at_once = 1024 // record_bytes
    assert steps_at_once < STEPS
    one_by_one = b"".join(run(stack_device, x[k : k + 1], mask[k : k + 1], reset=k == 0) for k in range(STEPS))
    cuts = sorted(
        {0, STEPS, *np.random.default_rng(seed).integers(1, STEPS, 5).tolist(), *range(0, STEPS, steps_at_once)}
    )
    in_pieces = b"".join(
        run(stack_device, x[first:last], mask[first:last], reset=first == 0) for first, last in itertools.pairwise(cuts)
    )
    assert in_pieces == one_by_one


def test_every_way_to_reset_is_as_good_as_a_boot(stack_device: Device, kernel: Kernel) -> None:
    x, mask = sequence(1)
    first = run(stack_device, x[:10], mask[:10], reset=False)
    assert run(stack_device, x[:10], mask[:10], reset=False) != first, "state stays between requests"
    assert run(stack_device, x[:10], mask[:10], reset=True) == first
    stack_device.request(StateReset())
    assert run(stack_device, x[:10], mask[:10], reset=False) == first
    load_model(stack_device, stack(), kernel=kernel)
    assert run(stack_device, x[:10], mask[:10], reset=False) == first
    stack_device.reset()
    load_model(stack_device, stack(), kernel=kernel)
    assert run(stack_device, x[:10], mask[:10], reset=False) == first


def test_no_sequence_leaks_into_another(stack_device: Device) -> None:
    """Whatever ran before, NaN in every state included."""
    x, mask = sequence(2)
    alone = run(stack_device, x[:12], mask[:12], reset=True)
    for before in (sequence(3)[0], np.full_like(x, np.nan), np.full_like(x, np.inf), np.full_like(x, 1e30)):
        run(stack_device, before[:12], np.ones(12, np.bool_), reset=False)
        assert run(stack_device, x[:12], mask[:12], reset=True) == alone


def test_state_that_was_read_and_written_back_goes_on_as_if_nothing_was(stack_device: Device) -> None:
    x, mask = sequence(4)
    mask[9] = True  # a masked step would repeat an output, which is no state
    run(stack_device, x[:9], mask[:9], reset=True)
    kept = states(stack_device)
    rest = run(stack_device, x[9:18], mask[9:18], reset=False)
    assert states(stack_device) != kept

    run(stack_device, np.full_like(x[:5], 3.0), np.ones(5, np.bool_), reset=True)
    places = [(region, node) for node in (0, 1) for region in (Region.STATE_H, Region.STATE_C)]
    for (region, node), data in zip(places, kept, strict=True):
        stack_device.request(Write(region=region, node=node, data=data))
    assert states(stack_device) == kept
    again = run(stack_device, x[9:18], mask[9:18], reset=False)
    assert again == rest
