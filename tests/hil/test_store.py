"""An image that lies in flash from the start is run in place, with its work memory in the arena. QEMU preloads it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.bench import INTERRUPT_INSTRUCTIONS, STEPS, count
from harness.build.platformio import firmware_elf
from harness.inference import open_stored_image
from harness.model.inputs import random_inputs
from harness.model.pack import pack_model
from harness.model.spec import DenseNode, ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import Run
from harness.protocol.refusals import DeviceRefused
from harness.protocol.wire import Activation, ErrorCode, Phase, Trace
from harness.targets.qemu import QemuTarget
from harness.validation import run_batch
from harness.workbench import Workbench


@pytest.mark.hil_targets("qemu")
def test_a_model_too_large_for_the_arena_runs_from_flash(hil_workbench: Workbench, tmp_path: Path) -> None:
    spec = seeds.rows_of_an_image()
    image = pack_model(spec)
    info = hil_workbench.device().info
    assert len(image.data) > info.arena_bytes
    path = tmp_path / "image"
    path.write_bytes(image.data)
    target = QemuTarget(firmware_elf(), tmp_path / "log", flash_file=path, flash_address=info.store_address)
    with Workbench(target) as bench:
        assert open_stored_image(bench.device(), image) == image.crc32
        inputs = random_inputs(spec, batch=2, seed=3)
        got, _ = run_batch(bench.device(), spec, inputs)
    for name, values in reference(spec, inputs).items():
        np.testing.assert_allclose(got[name], values, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.hil_targets("qemu")
def test_sizes_of_a_run_that_overflow_32_bits_are_refused(hil_workbench: Workbench, tmp_path: Path) -> None:
    """65281 steps of 16448 floats are 2^32 + 256 bytes: in 32 bits that is the length of this request."""
    kernel = np.zeros((16448, 1), np.float32)
    node = DenseNode("dense", None, Phase.EVERY_STEP, kernel, None, Activation.LINEAR)
    image = pack_model(ModelSpec("wide", "x", 16448, None, (node,), (0,)))
    info = hil_workbench.device().info
    path = tmp_path / "image"
    path.write_bytes(image.data)
    target = QemuTarget(firmware_elf(), tmp_path / "log", flash_file=path, flash_address=info.store_address)
    with Workbench(target) as bench:
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
