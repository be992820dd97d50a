"""What one time step costs: instructions, an estimate of cycles, memory, and how far its numbers are from float64.

QEMU with `-icount shift=0` advances its clock by one tick of TIM2 per executed instruction, so that the device counts
its own instructions around each step. Cycles are counted on a board alone; what is said of them besides is estimated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from harness.build.elf import linked_from
from harness.build.paths import work_dir
from harness.build.platformio import engine_objects, firmware_elf
from harness.cycles.disassembly import disassemble, executed
from harness.cycles.timing import LINE_BYTES, estimate
from harness.device import Device
from harness.inference import SequenceRunner
from harness.loading import CameBy, load_packed
from harness.model.inputs import Inputs, random_inputs
from harness.model.pack import ModelImage, pack_model
from harness.model.samples import random_lstm
from harness.model.spec import ModelSpec
from harness.oracle.reference import reference
from harness.protocol.messages import Run
from harness.protocol.wire import Kernel, RunFlags
from harness.targets.boards import DEFAULT_BOARD, board
from harness.targets.choice import TargetChoice
from harness.targets.qemu import QemuTarget, Trace
from harness.ticks import distribution, tick_unit
from harness.workbench import Workbench, make_target

SHAPES = ((1, 3), (16, 32), (28, 75), (64, 128))
"""(input_size, units): the shapes that other runtimes' figures are known for."""

STEPS = 28
"""Steps that a figure is the mean of."""

REPEATS = 5
"""Runs of which the least counts: one in seven was seen to have an interrupt of the line in it, more on a busy machine.
"""

INTERRUPT_INSTRUCTIONS = 32
"""What such an interrupt adds to a run: how sure a figure is, times STEPS. Measured."""

INTERRUPT_STACK_BYTES = 160
"""What an interrupt at the deepest place adds to the stack: 104 of its frame with the FPU's registers (PM0214 2.3.7),
and its handler's own."""

_ENOUGH_STEPS = 3
"""The second step is the first whose h is not zero, so what the third adds to it is what every later one costs."""

_PREPARATION = ("packed_prepare", "packed_state_floats", "packed_scratch_floats", "packed_gates_scratch_floats")
"""Functions of the engine that run when a model is loaded."""

_PACKED_OBJECTS = ("packed", "tanh_table")

_GATES_OBJECTS = ("packed_gates", "packed_table")
"""What runs only where the gates are traced."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Cost:
    """The cost of one time step of one LSTM with tanh and sigmoid.

    Attributes:
        kernel: arm_math, packed or packed_fma.
        input_size: features of a step.
        units: of the LSTM.
        instructions_per_step: counted under QEMU, mean over STEPS, all of the step included; None elsewhere.
        macs_per_step: 4 units (input_size + units).
        estimated_cycles_per_mac: weights in `sram`, and in `flash` at the board's clock; None without QEMU.
        cycles_per_step: counted on a board; None elsewhere.
        step_ticks: of all single steps of all runs, of the unit that is not None; None where nothing is counted.
        max_abs_error_h: of STEPS steps, from float64.
        max_abs_error_c: likewise.
        flash_bytes: the kernel's code and tables with the activations, without weights; None where no ELF is built.
        static_ram_bytes: state and buffers of the model.
        stack_bytes: most that the whole firmware used, by its paint; None where that is not known.
        weights_in: "ram", or "flash" for an image too large for the arena.
        compiler: of the firmware, with its version.
    """

    kernel: str
    input_size: int
    units: int
    instructions_per_step: float | None
    macs_per_step: int
    estimated_cycles_per_mac: dict[str, float] | None
    cycles_per_step: float | None
    step_ticks: dict[str, float] | None
    max_abs_error_h: float
    max_abs_error_c: float
    flash_bytes: int | None
    static_ram_bytes: int
    stack_bytes: int | None
    weights_in: str
    compiler: str


def measure(choice: TargetChoice, input_size: int, units: int, kernel: Kernel, say: Say = lambda _: None) -> Cost:
    """Everything about one kernel and one shape.

    Args:
        choice: where to run it.
        input_size: features of a step.
        units: of the LSTM.
        kernel: what computes it.
        say: told what takes time.

    Raises:
        HilError: the target is not there, or does not hold the model.
    """
    spec = random_lstm(input_size, units)
    image = pack_model(spec, kernel=kernel)
    macs = 4 * units * (input_size + units)
    with Workbench(make_target(choice, say, counts_instructions=True)) as bench:
        device = bench.device_for(image)
        in_ram = load_packed(device, spec, image).came_by == CameBy.LINK
        inputs = random_inputs(spec, batch=1, steps=STEPS)
        # A byte of the line that arrives in the middle of a step adds its interrupt: the least is the step alone.
        runs = [SequenceRunner(device, spec, quiet=True, alone=STEPS).run(inputs.x[0]) for _ in range(REPEATS)]
        ticks_per_step = min(run.ticks for run in runs) / STEPS
        errors = _errors(spec, inputs, runs[0].arrays)
        stack_bytes = device.counters().stack_bytes
        unit, compiler = tick_unit(device.info, bench.target.description()), device.info.compiler
    cycles = None if choice.kind == "native" else estimated_cycles(spec, image, say)
    wait_states = board(choice.board or DEFAULT_BOARD).flash_wait_states
    return Cost(
        kernel=kernel.name.lower(),
        input_size=input_size,
        units=units,
        instructions_per_step=ticks_per_step if unit == "instructions" else None,
        macs_per_step=macs,
        estimated_cycles_per_mac=None if cycles is None else _per_mac(cycles, len(image.data), macs, wait_states),
        cycles_per_step=ticks_per_step if unit == "cycles" else None,
        step_ticks=None if unit is None else distribution([each for run in runs for each in run.step_ticks]).to_json(),
        max_abs_error_h=errors[0],
        max_abs_error_c=errors[1],
        flash_bytes=None if choice.kind == "native" else kernel_flash_bytes(kernel, firmware_elf(say)),
        static_ram_bytes=image.work_bytes,
        stack_bytes=stack_bytes or None,
        weights_in="ram" if in_ram else "flash",
        compiler=compiler,
    )


def estimated_cycles(spec: ModelSpec, image: ModelImage, say: Say = lambda _: None) -> int | None:
    """Cycles of the engine in one step, by the model of `harness.cycles`; None without QEMU."""
    x = random_inputs(spec, batch=1, steps=1).x[0]
    step = Run(steps=1, flags=RunFlags.RESET_STATE, data=x.astype("<f4").tobytes())
    return _estimated(spec, image, lambda device: device.request(step), say)


def estimated_run_cycles(spec: ModelSpec, image: ModelImage, steps: int, say: Say = lambda _: None) -> int | None:
    """Cycles of the engine in a whole run, with the weights in SRAM; likewise.

    Args:
        spec: the model.
        image: made for runs of at least `steps`.
        steps: time steps.
        say: told what takes time.
    """
    streams = len(image.plan.passes) == 1 and not image.plan.kept
    if not streams or steps < _ENOUGH_STEPS:
        return _of_run(spec, image, steps, say)
    # Each step costs the same: what one more adds tells of all that follow.
    spec = replace(spec, steps=None)
    image = pack_model(spec, kernel=image.kernel)
    two, three = (_of_run(spec, image, count, say) for count in (_ENOUGH_STEPS - 1, _ENOUGH_STEPS))
    return None if two is None or three is None else two + (steps - _ENOUGH_STEPS + 1) * (three - two)


def _of_run(spec: ModelSpec, image: ModelImage, steps: int, say: Say) -> int | None:
    x = random_inputs(spec, batch=1, steps=steps).x[0]
    return _estimated(spec, image, lambda device: SequenceRunner(device, spec, image.plan).run(x), say)


def _estimated(
    spec: ModelSpec, image: ModelImage, run: Callable[[Device], object], say: Say = lambda _: None
) -> int | None:
    elf = firmware_elf(say)
    logs = work_dir() / "logs"
    functions = [symbol for symbol in linked_from(elf, engine_objects()) if symbol.is_code]
    ranges = tuple((one.address, one.size_bytes) for one in functions if one.name not in _PREPARATION)
    trace = Trace(logs / f"bench-{os.getpid()}.trace", ranges)
    target = QemuTarget(elf, logs / f"bench-{os.getpid()}.log", trace=trace)
    if target.unavailable() is not None:
        return None
    try:
        with Workbench(target) as bench:
            device = bench.device_for(image)
            load_packed(device, spec, image)
            run(device)
        with trace.path.open(encoding="ascii", errors="replace") as lines:
            return estimate(executed(lines, disassemble(elf)))
    finally:
        trace.path.unlink(missing_ok=True)


def kernel_flash_bytes(kernel: Kernel | None, elf: Path) -> int:
    """Code and constants of a kernel with its activations, as the linker kept them; None: of the whole engine."""
    of_kernels = [path for path in engine_objects() if not path.stem.startswith(_GATES_OBJECTS)]
    of_packed = [path for path in of_kernels if path.stem.startswith(_PACKED_OBJECTS)]
    others = [path for path in of_kernels if path not in of_packed]
    if kernel is None:
        return sum(symbol.size_bytes for symbol in linked_from(elf, engine_objects()))
    if kernel is Kernel.ARM_MATH:
        return sum(symbol.size_bytes for symbol in linked_from(elf, others))
    other_step = "packed_step_fused" if kernel is Kernel.PACKED else "packed_step_separate"
    return sum(symbol.size_bytes for symbol in linked_from(elf, of_packed) if symbol.name != other_step)


def gates_flash_bytes(elf: Path) -> int:
    """Code that only --trace gates needs, beside what is in the kernels."""
    objects = [path for path in engine_objects() if path.stem.startswith(_GATES_OBJECTS)]
    return sum(symbol.size_bytes for symbol in linked_from(elf, objects))


def _errors(spec: ModelSpec, inputs: Inputs, arrays: dict[str, np.ndarray]) -> tuple[float, float]:
    exact = reference(spec, inputs)
    h, c = (float(np.abs(arrays[name] - exact[name][0]).max()) for name in ("lstm.h", "lstm.c"))
    return h, c


def flash_stall_cycles(weight_bytes: int, wait_states: int) -> int:
    """Cycles that are lost when weights are read once from flash with so many wait states instead of from SRAM."""
    return weight_bytes // LINE_BYTES * wait_states


def _per_mac(cycles: int, weight_bytes: int, macs: int, wait_states: int) -> dict[str, float]:
    """From flash each line of weights stalls once."""
    stalls = weight_bytes / LINE_BYTES * wait_states
    return {"sram": cycles / macs, "flash": (cycles + stalls) / macs}
