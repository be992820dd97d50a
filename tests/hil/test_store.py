"""An image in the flash store is run in place: preloaded by an emulator, or written by the firmware."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import seeds
from harness.device import Device
from harness.errors import ModelRefused
from harness.loading import CameBy, load_model, load_packed, open_stored_image
from harness.model.inputs import random_inputs
from harness.model.nodes import DenseNode
from harness.model.pack import pack_model
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import ImageBegin, ImageCommit, Run, Write
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import Activation, BeginFlags, ErrorCode, Phase, Region, Trace
from harness.targets.choice import TargetChoice
from harness.validation import run_batch
from harness.workbench import Workbench, make_target

EMULATED = pytest.mark.hil_targets("qemu", "renode")
"""Where the firmware cannot write flash, and an emulator can have an image in it from the start."""


@pytest.fixture
def own_bench(hil_workbench: Workbench) -> Iterator[Workbench]:
    """A workbench of this test's own: what it preloads is nobody else's."""
    with Workbench(make_target(TargetChoice(hil_workbench.target.kind), lambda _: None)) as bench:
        yield bench


def check(device: Device, spec: ModelSpec) -> dict[str, np.ndarray]:
    inputs = random_inputs(spec, batch=2, steps=5, seed=3)
    got, _ = run_batch(device, spec, inputs)
    for name, values in reference(spec, inputs).items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-6, err_msg=name)
    return got


@EMULATED
def test_a_model_too_large_for_the_arena_lies_in_flash_when_the_emulator_starts(own_bench: Workbench) -> None:
    spec = seeds.rows_of_an_image()
    image = pack_model(spec)
    device = own_bench.device_for(image)
    assert len(image.data) > device.info.arena_bytes
    greetings_bytes = device.link_counters.bytes_sent  # repeated until the emulator has started
    loaded = load_packed(device, spec, image)
    assert (loaded.came_by, loaded.crc32_device) == (CameBy.PRELOADED, image.crc32)
    assert device.link_counters.bytes_sent - greetings_bytes < 300, "nothing of it goes over the link"
    check(device, spec)


@EMULATED
def test_an_emulator_is_started_anew_for_another_large_model_only(own_bench: Workbench) -> None:
    first, small, second = (seeds.random_lstm(*shape) for shape in ((28, 76), (3, 4), (28, 77)))
    device = own_bench.device_for(pack_model(first))
    for spec, came_by in ((first, CameBy.PRELOADED), (small, CameBy.LINK), (first, CameBy.PRELOADED)):
        assert own_bench.device_for(pack_model(spec)) is device
        assert load_model(device, spec).came_by == came_by
        check(device, spec)
    other = own_bench.device_for(pack_model(second))
    assert other is not device
    assert load_model(other, second).came_by == CameBy.PRELOADED
    check(other, second)
    with pytest.raises(ModelRefused, match="cannot be written here"):
        load_model(other, first)


@EMULATED
def test_what_no_flash_holds_starts_nothing_anew(own_bench: Workbench) -> None:
    spec = seeds.random_lstm(64, 140)
    device = own_bench.device()
    assert own_bench.device_for(pack_model(spec)) is device
    with pytest.raises(ModelRefused, match=rf"{device.info.store_bytes} bytes of weights"):
        load_model(device, spec)


@EMULATED
def test_over_the_link_or_preloaded_the_bits_are_the_same(own_bench: Workbench) -> None:
    spec = seeds.random_lstm(16, 32)
    image = pack_model(spec)
    device = own_bench.device()
    assert load_packed(device, spec, image).came_by == CameBy.LINK
    by_link = check(device, spec)
    assert own_bench.target.preload(image.data, device.info.store_address)
    own_bench.close()
    device = own_bench.device()
    assert device.info.model_crc32 == image.crc32
    assert open_stored_image(device, image) == image.crc32
    preloaded = check(device, spec)
    assert all(by_link[name].tobytes() == values.tobytes() for name, values in preloaded.items())


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
def test_from_ram_or_from_flash_the_bits_are_the_same(device: Device) -> None:
    spec = seeds.random_lstm(16, 32)
    image = pack_model(spec)
    load_packed(device, spec, image)
    from_ram = check(device, spec)
    flags = BeginFlags.TO_STORE | BeginFlags.DROP_OLD
    device.request(ImageBegin(image_bytes=len(image.data), work_bytes=image.work_bytes, flags=flags))
    for offset in range(0, len(image.data), 1000):
        device.request(Write(region=Region.IMAGE, offset=offset, data=image.data[offset : offset + 1000]))
    device.request(ImageCommit(crc32=image.crc32))
    from_flash = check(device, spec)
    assert all(from_ram[name].tobytes() == values.tobytes() for name, values in from_flash.items())


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
    for image_bytes in (64, 0):
        with pytest.raises(DeviceRefused) as refused:
            device.request(ImageBegin(image_bytes=image_bytes, work_bytes=8, flags=BeginFlags.TO_STORE))
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


@EMULATED
def test_flash_that_cannot_be_written_is_said(device: Device) -> None:
    with pytest.raises(ModelRefused, match="cannot be written here"):
        load_model(device, seeds.random_lstm(64, 100))
    with pytest.raises(DeviceRefused) as refused:
        device.request(ImageBegin(image_bytes=64, work_bytes=8, flags=BeginFlags.TO_STORE))
    assert refused.value.reply.code == ErrorCode.BAD_FLAGS


@EMULATED
def test_sizes_of_a_run_that_overflow_32_bits_are_refused(own_bench: Workbench) -> None:
    """65281 steps of 16448 floats are 2^32 + 256 bytes: in 32 bits that is the length of this request."""
    kernel = np.zeros((16448, 1), np.float32)
    node = DenseNode("dense", None, Phase.EVERY_STEP, kernel, None, Activation.LINEAR)
    image = pack_model(ModelSpec("wide", "x", 16448, None, (node,), (0,)))
    device = own_bench.device_for(image)
    open_stored_image(device, image)
    with pytest.raises(DeviceRefused) as refused:
        device.request(Run(steps=65281, data=bytes((65281 * 16448 * 4) % 2**32)))
    assert refused.value.reply.code == ErrorCode.BAD_LENGTH
    assert refused.value.reply.detail2 == 2**32 - 1
    with pytest.raises(DeviceRefused) as refused:
        device.request(Run(steps=1, trace=Trace.OUTPUT, data=b""))
    assert refused.value.reply.code == ErrorCode.BAD_LENGTH
