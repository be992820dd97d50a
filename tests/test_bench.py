"""`hil bench`: its figures and its files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.bench import INTERRUPT_INSTRUCTIONS, REPEATS, STEPS, gates_flash_bytes, kernel_flash_bytes, measure
from harness.bootstrap.system import missing_parts
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.protocol.wire import Kernel
from harness.targets.choice import TargetChoice
from report_schema import check_record

MOST_INSTRUCTIONS = {
    (Kernel.PACKED_FMA, (1, 3)): 310,
    (Kernel.PACKED_FMA, (16, 32)): 9_300,
    (Kernel.PACKED_FMA, (28, 75)): 40_800,
    (Kernel.PACKED_FMA, (64, 128)): 120_500,
    (Kernel.PACKED, (28, 75)): 73_700,
}
"""What a whole step may take: 3 times less than the best of the other runtimes in docs/BENCHMARK.md."""

FIELDS = [
    "kernel", "input_size", "units", "instructions_per_step", "macs_per_step", "estimated_cycles_per_mac",
    "cycles_per_step", "max_abs_error_h", "max_abs_error_c", "flash_bytes", "static_ram_bytes", "stack_bytes",
]  # fmt: skip


@pytest.fixture(scope="module")
def qemu_is_there() -> None:
    if missing := missing_parts(("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")):
        pytest.skip(f"qemu: {missing[0].name} is not installed")


@pytest.mark.usefixtures("qemu_is_there")
@pytest.mark.parametrize(("kernel", "shape"), MOST_INSTRUCTIONS, ids=str)
def test_a_step_stays_within_its_instructions(kernel: Kernel, shape: tuple[int, int]) -> None:
    cost = measure(TargetChoice("qemu"), *shape, kernel)
    assert cost.instructions_per_step is not None
    assert cost.macs_per_step == 4 * shape[1] * sum(shape)
    assert cost.instructions_per_step > cost.macs_per_step
    # A count is sure to an interrupt of the line in one of STEPS steps.
    assert cost.instructions_per_step <= MOST_INSTRUCTIONS[kernel, shape] + INTERRUPT_INSTRUCTIONS / STEPS
    assert cost.cycles_per_step is None, "an emulator counts none"
    assert cost.step_ticks is not None
    assert cost.step_ticks["counted"] == REPEATS * STEPS
    assert cost.step_ticks["min"] <= cost.step_ticks["median"] <= cost.step_ticks["p99"] <= cost.step_ticks["max"]
    # The end of a run, 32 instructions, is shared out among its STEPS steps.
    assert cost.step_ticks["min"] <= cost.instructions_per_step <= cost.step_ticks["max"] + 2
    assert cost.static_ram_bytes <= 2458 or shape != (28, 75)
    assert cost.stack_bytes is not None
    assert 100 < cost.stack_bytes < 2048
    assert cost.max_abs_error_h < 5e-7
    assert cost.max_abs_error_c < 1e-6
    if (kernel, shape) == (Kernel.PACKED, (28, 75)):
        assert cost.estimated_cycles_per_mac is not None
        assert 3 < cost.estimated_cycles_per_mac["sram"] <= 3.65
        assert cost.estimated_cycles_per_mac["flash"] > cost.estimated_cycles_per_mac["sram"] + 1.25


@pytest.mark.usefixtures("qemu_is_there")
def test_sizes_of_the_engine() -> None:
    elf = firmware_elf()
    packed, fma = (kernel_flash_bytes(kernel, elf) for kernel in (Kernel.PACKED, Kernel.PACKED_FMA))
    whole = kernel_flash_bytes(None, elf)
    both = whole - kernel_flash_bytes(Kernel.ARM_MATH, elf) - gates_flash_bytes(elf)
    assert 4096 < min(packed, fma) < max(packed, fma) < both
    assert both <= 10 * 1024
    assert whole <= 28 * 1024


def test_native_has_no_figures_of_the_chip(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path = tmp_path / "new" / "bench.json"
    assert run(["bench", "--native", "--shape", "2,3", "--shape", "1,1", "--json", str(path)]) == 0
    rows = json.loads(path.read_text())
    check_record(rows, "bench")
    assert [(row["kernel"], row["input_size"], row["units"]) for row in rows] == [
        (kernel.name.lower(), *shape) for shape in ((2, 3), (1, 1)) for kernel in Kernel
    ]
    for row in rows:
        assert set(FIELDS) <= row.keys()
        assert row["instructions_per_step"] is None
        assert row["cycles_per_step"] is None
        assert row["step_ticks"] is None
        assert row["estimated_cycles_per_mac"] is None
        assert 0 < row["max_abs_error_h"] < 5e-7
    assert capsys.readouterr().out.splitlines()[0] == "target  native"


@pytest.mark.parametrize("shape", ["28", "28,75,1", "0,3", "a,b", "-1,3"])
def test_a_shape_is_two_numbers(shape: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bench", "--native", f"--shape={shape}"]) == 2
    assert "--shape 28,75" in capsys.readouterr().err
