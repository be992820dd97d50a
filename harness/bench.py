"""Counts the instructions of one time step under QEMU: `python -m harness.bench`.

QEMU with `-icount shift=0` advances its clock by one tick of TIM2 per executed instruction, so that the device counts
its own instructions around each step. They are instructions, not cycles: a board's CYCCNT is needed for those.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict, dataclass

import numpy as np

from harness.build.elf import sizes
from harness.build.paths import work_dir
from harness.build.platformio import firmware_elf
from harness.inference import CameBy, SequenceRunner, load_packed
from harness.model.inputs import random_inputs
from harness.model.pack import pack_model
from harness.model.spec import LstmNode, ModelSpec
from harness.protocol.wire import Activation, Kernel, Phase
from harness.targets.qemu import QemuTarget
from harness.workbench import Workbench

SHAPES = ((1, 3), (16, 32), (28, 75), (64, 128))
"""(input_size, units): the shapes that other runtimes' figures are known for."""

STEPS = 28
"""Steps that a figure is the mean of."""


REPEATS = 5
"""Runs of which the least counts: one in seven was seen to have an interrupt of the line in it, more on a busy machine.
"""

INTERRUPT_INSTRUCTIONS = 32
"""What such an interrupt adds to a run: how sure a figure is, times STEPS. Measured."""


@dataclass(frozen=True)
class Row:
    """The cost of one time step.

    Attributes:
        kernel: the engine's kernel.
        input_size: features of a step.
        units: of the LSTM.
        weights_in: "ram", or "flash" for an image too large for the arena.
        instructions_per_step: mean over STEPS, all of the step included.
        macs_per_step: 4 units (input_size + units).
    """

    kernel: str
    input_size: int
    units: int
    weights_in: str
    instructions_per_step: float
    macs_per_step: int


def count(input_size: int, units: int, kernel: Kernel = Kernel.ARM_MATH) -> Row:
    """Instructions per step of one LSTM with random weights."""
    spec = _lstm(input_size, units)
    image = pack_model(spec, kernel=kernel)
    elf = firmware_elf(_say)
    log_path = work_dir() / "logs" / f"bench-{os.getpid()}.log"
    target = QemuTarget(elf, log_path, count_instructions=True)
    with Workbench(target) as bench:
        device = bench.device_for(image)
        in_ram = load_packed(device, spec, image).came_by == CameBy.LINK
        x = random_inputs(spec, batch=1, steps=STEPS).x[0]
        # A byte of the line that arrives in the middle of a step adds its interrupt: the least is the step alone.
        ticks = min(SequenceRunner(device, spec).run(x).ticks for _ in range(REPEATS))
    macs = 4 * units * (input_size + units)
    return Row(kernel.name.lower(), input_size, units, "ram" if in_ram else "flash", ticks / STEPS, macs)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def _lstm(input_size: int, units: int) -> ModelSpec:
    generator = np.random.default_rng(0)

    def weights(*shape: int) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        return generator.normal(0, 0.1, shape).astype(np.float32)

    node = LstmNode(
        name="lstm",
        source=None,
        phase=Phase.EVERY_STEP,
        kernel=weights(input_size, 4 * units),
        recurrent_kernel=weights(units, 4 * units),
        bias=weights(4 * units),
        activation=Activation.TANH,
        recurrent_activation=Activation.SIGMOID,
    )
    return ModelSpec(f"lstm_{input_size}_{units}", "x", input_size, None, (node,), (0,))


def main() -> None:
    """Print the figures, as JSON with --json."""
    rows = [count(input_size, units, kernel) for kernel in Kernel for input_size, units in SHAPES]
    memory = sizes(firmware_elf())
    if "--json" in sys.argv:
        sys.stdout.write(json.dumps({"rows": [asdict(row) for row in rows], "memory": asdict(memory)}, indent=2) + "\n")
        return
    sys.stdout.write("kernel     input units  weights in  instructions/step      MACs  instructions/MAC\n")
    for row in rows:
        ratio = row.instructions_per_step / row.macs_per_step
        sys.stdout.write(
            f"{row.kernel:10} {row.input_size:5} {row.units:5}  {row.weights_in:10}  "
            f"{row.instructions_per_step:17.0f}  "
            f"{row.macs_per_step:8}  {ratio:16.2f}\n"
        )
    sys.stdout.write(
        f"flash {memory.flash_bytes} bytes, variables {memory.variable_bytes}, stack {memory.stack_bytes}, "
        f"arena {memory.arena_bytes}\n"
    )


if __name__ == "__main__":
    main()
