"""`hil fit`: whether a model fits a board and what it costs there, before anything is flashed or run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.model_options import KERNELS
from harness.cli.options import ready_firmware, say
from harness.cli.session import DEFAULT_KERNEL
from harness.errors import ExitCode, UsageError
from harness.targets.boards import DEFAULT_BOARD, Board, board

if TYPE_CHECKING:
    from rich.console import Console

    from harness.model.fit import Fit


def fit_command(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A Keras model (.keras, .h5, weights .npz).")],
    steps: Annotated[int, typer.Option("--steps", help="Time steps of a run, if the model leaves them.")] = 16,
    kernel: Annotated[
        str, typer.Option("--kernel", metavar="|".join(KERNELS), help="What computes the LSTMs.")
    ] = DEFAULT_KERNEL,
    board_name: Annotated[str, typer.Option("--board", metavar="NAME", help="The board.")] = DEFAULT_BOARD,
) -> int:
    """Print what a model needs of the chip: memory, longest run, operations, parameters per gate, options."""
    from harness.build.elf import sizes
    from harness.model.fit import fit
    from harness.model.memory import Memory
    from harness.model.pack import kernel_named
    from harness.oracle.load import load_model
    from harness.report.terminal import make_console

    if steps < 1:
        raise UsageError(f"--steps is {steps}", remedy="give --steps a number of at least 1")
    target = board(board_name)
    spec = load_model(model).spec
    memory = sizes(ready_firmware(target.platformio_environment))
    found = fit(spec, Memory(memory.arena_bytes, memory.store_bytes), steps, kernel_named(kernel))
    console = make_console()
    _print_fit(console, model, found)
    if found.place is not None:
        _print_time(console, found, target)
    console.print(f"FITS, runs from {found.place}" if found.place else "DOES NOT FIT")
    return int(ExitCode.PASS if found.place else ExitCode.USAGE)


def _print_fit(console: Console, model: Path, found: Fit) -> None:
    from rich.markup import escape
    from rich.table import Table

    from harness.report.terminal import describe

    image, memory = found.image, found.memory
    console.print(f"model   {escape(model.name)}: {escape(describe(found.spec))}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("layer", "kind", "options"):
        table.add_column(title, no_wrap=True)
    for title in ("input", "units", "MACs", "runs", "i", "f", "c", "o", "parameters"):
        table.add_column(title, justify="right", no_wrap=True)
    for layer in found.layers:
        counts = (layer.input_size, layer.units, layer.macs, layer.runs)
        gates = (layer.parameters.get(gate, "") for gate in ("i", "f", "c", "o"))
        numbers = [str(number) for number in (*counts, *gates, layer.parameters["total"])]
        table.add_row(escape(layer.name), layer.kind, ", ".join(layer.options), *numbers)
    console.print(table)
    console.print(f"cost    {found.macs} MACs in a run of {found.steps} steps")
    console.print(f"weights {len(image.data)} bytes for {image.kernel.name.lower()}, of {memory.store_bytes} of flash")
    console.print(f"state   {image.work_bytes} bytes with buffers, of {memory.arena_bytes} of RAM")
    for place, in_flash in (("RAM", False), ("flash", True)):
        most = memory.most_steps(image, in_flash=in_flash)
        console.print(f"        weights in {place}: {_longest(most, found.spec.steps)}")


def _print_time(console: Console, found: Fit, target: Board) -> None:
    from harness.bench import estimated_run_cycles, flash_stall_cycles

    cycles = estimated_run_cycles(found.spec, found.image, found.steps, say)
    if cycles is None:
        console.print("time    not estimated: that takes QEMU")
        return
    if found.place == "flash":
        cycles += flash_stall_cycles(found.weight_bytes_read, target.flash_wait_states)
    clock_hz = target.sysclk_hz
    console.print(
        f"time    about {cycles} cycles a run, {cycles / found.steps:.0f} a step, {cycles / found.macs:.2f} per MAC: "
        f"{cycles / clock_hz * 1e3:.3g} ms a run at {clock_hz // 10**6} MHz"
    )
    console.print("        an estimate: the instructions that QEMU executed, by their documented timing")


def _longest(most: int | None, fixed: int | None) -> str:
    if most == 0 or (most is not None and fixed is not None and most < fixed):
        return "does not fit"
    if fixed is not None:
        return f"runs of {fixed} steps, which the model fixes"
    return "runs of any length, they stream" if most is None else f"runs of up to {most} steps"
