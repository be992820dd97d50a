"""An image in the flash store is run in place: preloaded by an emulator, or written by the firmware."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import seeds
from harness.bench import INTERRUPT_INSTRUCTIONS, STEPS, count
from harness.device import Device
from harness.errors import ModelRefused
from harness.inference import CameBy, load_model, open_stored_image
from harness.model.inputs import random_inputs
from harness.model.pack import pack_model
from harness.model.spec import DenseNode, ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import ImageBegin, Run, Write
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import Activation, BeginFlags, ErrorCode, Phase, Region, Trace
from harness.validation import run_batch
from harness.workbench import Workbench

Preloaded = Callable[[bytes, int], Workbench]


@pytest.mark.hil_targets("qemu", "renode")
def test_a_model_too_large_for_the_arena_runs_from_flash(hil_workbench: Workbench, preloaded: Preloaded) -> None:
    spec = seeds.rows_of_an_image()
    image = pack_model(spec)
    info = hil_workbench.device().info
    assert len(image.data) > info.arena_bytes
    with preloaded(image.data, info.store_address) as bench:
        assert open_stored_image(bench.device(), image) == image.crc32
        inputs = random_inputs(spec, batch=2, seed=3)
        got, _ = run_batch(bench.device(), spec, inputs)
    for name, values in reference(spec, inputs).items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-6, err_msg=name)


WRITABLE = pytest.mark.hil_targets("native", "board")
"""Where the firmware can write its flash: no emulator has a right flash controller."""


@WRITABLE
def test_a_model_too_large_for_the_arena_is_written_to_flash_and_survives_a_reset(device: Device) -> None:
    spec = seeds.rows_of_an_image()
    inputs = random_inputs(spec, batch=2, seed=3)
    assert len(pack_model(spec).data) > device.info.arena_bytes
    assert load_model(device, spec).came_by in (CameBy.LINK_TO_FLASH, CameBy.FLASH)
    first, _ = run_batch(device, spec, inputs)
    for name, values in reference(spec, inputs).items():
        np.testing.assert_allclose(first[name], values, rtol=0, atol=1e-6, err_msg=name)

    info = device.reset()
    assert info.model_crc32 == pack_model(spec).crc32, "what lies in flash is in force from the start"
    again, _ = run_batch(device, spec, inputs)
    assert load_model(device, spec).came_by == CameBy.FLASH, "nothing is sent twice"
    once_more, _ = run_batch(device, spec, inputs)
    for name, values in first.items():
        assert values.tobytes() == again[name].tobytes() == once_more[name].tobytes()


@WRITABLE
def test_another_large_model_takes_its_place(device: Device) -> None:
    for seed in (1, 2):
        spec = seeds.random_lstm(64, 100, seed=seed)
        inputs = random_inputs(spec, batch=1, steps=3)
        load_model(device, spec)
        got, _ = run_batch(device, spec, inputs)
        np.testing.assert_allclose(got["lstm.h"], reference(spec, inputs)["lstm.h"], rtol=0, atol=1e-6)
    assert device.reset().model_crc32 == pack_model(spec).crc32


@WRITABLE
def test_a_small_model_leaves_the_store_alone(device: Device) -> None:
    large, small = seeds.random_lstm(64, 100, seed=5), seeds.random_lstm(3, 4)
    load_model(device, large)
    assert load_model(device, small).came_by == CameBy.LINK
    assert load_model(device, large).came_by == CameBy.FLASH


@WRITABLE
def test_an_image_that_runs_from_the_store_is_not_written_over(device: Device) -> None:
    spec = seeds.random_lstm(64, 100, seed=6)
    image = pack_model(spec)
    load_model(device, spec)
    with pytest.raises(DeviceRefused) as refused:
        device.request(ImageBegin(image_bytes=64, work_bytes=8, flags=BeginFlags.TO_STORE))
    assert (refused.value.reply.code, refused.value.reply.detail2) == (ErrorCode.TOO_LARGE, 0)
    assert load_model(device, spec).crc32_device == image.crc32


@WRITABLE
def test_an_unfinished_write_is_no_image(device: Device) -> None:
    """The power goes in the middle of a load: at the next boot nothing is in force."""
    image = pack_model(seeds.random_lstm(64, 100, seed=7))
    flags = BeginFlags.TO_STORE | BeginFlags.DROP_OLD
    device.request(ImageBegin(image_bytes=len(image.data), work_bytes=image.work_bytes, flags=flags))
    device.request(Write(region=Region.IMAGE, offset=0, data=image.data[:1000]))
    assert device.reset().model_crc32 == 0


@WRITABLE
def test_flash_takes_whole_words(device: Device) -> None:
    flags = BeginFlags.TO_STORE | BeginFlags.DROP_OLD
    device.request(ImageBegin(image_bytes=4096, work_bytes=8, flags=flags))
    for offset, size_bytes in ((1, 4), (0, 3), (4096, 4), (2**32 - 4, 8)):
        with pytest.raises(DeviceRefused) as refused:
            device.request(Write(region=Region.IMAGE, offset=offset, data=bytes(size_bytes)))
        assert refused.value.reply.code == ErrorCode.OUT_OF_RANGE


@pytest.mark.hil_targets("qemu", "renode")
def test_flash_that_cannot_be_written_is_said(device: Device) -> None:
    with pytest.raises(ModelRefused, match="cannot be written here"):
        load_model(device, seeds.random_lstm(64, 100))
    with pytest.raises(DeviceRefused) as refused:
        device.request(ImageBegin(image_bytes=64, work_bytes=8, flags=BeginFlags.TO_STORE))
    assert refused.value.reply.code == ErrorCode.BAD_FLAGS


@pytest.mark.hil_targets("qemu", "renode")
def test_sizes_of_a_run_that_overflow_32_bits_are_refused(hil_workbench: Workbench, preloaded: Preloaded) -> None:
    """65281 steps of 16448 floats are 2^32 + 256 bytes: in 32 bits that is the length of this request."""
    kernel = np.zeros((16448, 1), np.float32)
    node = DenseNode("dense", None, Phase.EVERY_STEP, kernel, None, Activation.LINEAR)
    image = pack_model(ModelSpec("wide", "x", 16448, None, (node,), (0,)))
    info = hil_workbench.device().info
    with preloaded(image.data, info.store_address) as bench:
        device = bench.device()
        open_stored_image(device, image)
        with pytest.raises(DeviceRefused) as refused:
            device.request(Run(steps=65281, data=bytes((65281 * 16448 * 4) % 2**32)))
        assert refused.value.reply.code == ErrorCode.BAD_LENGTH
        assert refused.value.reply.detail2 == 2**32 - 1
        with pytest.raises(DeviceRefused) as refused:
            device.request(Run(steps=1, trace=Trace.OUTPUT, data=b""))
        assert refused.value.reply.code == ErrorCode.BAD_LENGTH


@pytest.mark.hil_targets("qemu")
def test_counted_instructions_are_the_same_every_time(hil_workbench: Workbench) -> None:
    """But for the interrupt of a byte that arrives in the middle of a step."""
    first, second = count(1, 3), count(1, 3)
    difference = abs(first.instructions_per_step - second.instructions_per_step) * STEPS
    assert difference <= 2 * INTERRUPT_INSTRUCTIONS
    assert first.macs_per_step == 48
    assert 48 < first.instructions_per_step < 48 * 100
