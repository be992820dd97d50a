"""`hil bench`: what a time step costs, kernel by kernel."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.baseline import BaselineFile, BaselineOptions, BaselinePercent, BaselineStrict, UpdateBaseline
from harness.cli.bench_link import bench_link
from harness.cli.files import refuse_overwriting
from harness.cli.options import ready_target, say, takes_target
from harness.errors import UsageError
from harness.findings.writing import writing
from harness.targets.boards import DEFAULT_BOARD, board
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.baseline import AnyKey, Entry
    from harness.bench import Cost


@takes_target
def bench_command(
    target: TargetChoice,
    shapes: Annotated[
        list[str] | None,
        typer.Option("--shape", metavar="IN,UNITS", help="Inputs and units of an LSTM; may be given several times."),
    ] = None,
    link: Annotated[
        bool, typer.Option("--link", help="Goodput of the link instead, over a paced line or a board's own.")
    ] = False,
    baseline: BaselineFile = None,
    percent: BaselinePercent = None,
    update: UpdateBaseline = False,
    strict: BaselineStrict = False,
    json_path: Annotated[Path | None, typer.Option("--json", metavar="F", help="The figures as JSON.")] = None,
) -> int:
    """Count instructions (QEMU) or cycles (board) of a time step by each kernel, estimate cycles, measure memory.

    With --link: goodput of the link at each rate. With --baseline: exit code 1 where a figure is worse than it was.
    """
    wanted = [_shape(text) for text in shapes or ()]
    held = BaselineOptions(baseline, percent, update, strict)
    refuse_overwriting([json_path], [baseline])
    held.check()
    if link:
        if baseline is not None:
            raise UsageError("--link and --baseline were both given", remedy="the figures of the link have no baseline")
        if wanted:
            raise UsageError("--link and --shape were both given", remedy="the link is measured with shapes of its own")
        return bench_link(target, json_path)
    ready_target(target)

    from harness.bench import SHAPES, measure
    from harness.protocol.wire import Kernel
    from harness.report.terminal import make_console

    console = make_console()
    console.print(f"target  {target}", markup=False)
    costs = [measure(target, *shape, kernel, say) for shape in wanted or SHAPES for kernel in Kernel]
    console.print(_table(costs))
    for line in _remarks(target):
        console.print(line, markup=False)
    if json_path is not None:
        _write(costs, json_path)
        console.print(f"written {json_path}", markup=False)
    return _held_against(held, console, target, costs)


def _held_against(held: BaselineOptions, console: Console, target: TargetChoice, costs: list[Cost]) -> int:
    """The exit code, by a baseline if one was given."""
    from harness.baseline import Key, entry_of
    from harness.bench import INTERRUPT_INSTRUCTIONS, INTERRUPT_STACK_BYTES, STEPS

    name = target.name if target.kind == "board" and target.name else target.kind
    measured: dict[AnyKey, Entry] = {
        Key(name, cost.input_size, cost.units, cost.kernel): entry_of(cost.compiler, asdict(cost)) for cost in costs
    }
    of_interrupt = INTERRUPT_INSTRUCTIONS / STEPS
    slack = {"instructions_per_step": of_interrupt, "cycles_per_step": of_interrupt}
    return held.judge(console, measured, {**slack, "stack_bytes": INTERRUPT_STACK_BYTES})


def _shape(text: str) -> tuple[int, int]:
    """`28,75` as two numbers.

    Raises:
        UsageError: it is something else.
    """
    parts = text.split(",")
    if len(parts) != 2 or not all(part.strip().isdecimal() and int(part) > 0 for part in parts):
        raise UsageError(f"--shape is {text!r}", remedy="give inputs and units of a step, as --shape 28,75")
    return int(parts[0]), int(parts[1])


def _write(costs: list[Cost], path: Path) -> None:
    rows = [asdict(cost) for cost in costs]
    with writing(path):
        path.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _table(costs: list[Cost]):  # type: ignore[no-untyped-def]
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in (
        "kernel", "input", "units", "MACs", "instructions", "per MAC", "cycles", "est. cycles/MAC", "from flash",
        "max err h", "max err c", "flash", "RAM", "stack",
    ):  # fmt: skip
        table.add_column(title, justify="left" if title == "kernel" else "right", no_wrap=True)
    for cost in costs:
        estimated = cost.estimated_cycles_per_mac or {}
        table.add_row(
            cost.kernel,
            str(cost.input_size),
            str(cost.units),
            str(cost.macs_per_step),
            _number(cost.instructions_per_step, ".0f"),
            _number(cost.instructions_per_step and cost.instructions_per_step / cost.macs_per_step, ".2f"),
            _number(cost.cycles_per_step, ".0f"),
            _number(estimated.get("sram"), ".2f"),
            _number(estimated.get("flash"), ".2f"),
            f"{cost.max_abs_error_h:.1e}",
            f"{cost.max_abs_error_c:.1e}",
            _number(cost.flash_bytes, "d"),
            str(cost.static_ram_bytes),
            _number(cost.stack_bytes, "d"),
        )
    return table


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _remarks(target: TargetChoice) -> list[str]:
    """What the figures are, and what the whole program takes."""
    lines = ["of one time step. instructions: counted by QEMU, no cycles. cycles: counted on a board only."]
    chip = board(target.board or DEFAULT_BOARD)
    clock = f"{chip.sysclk_hz // 10**6} MHz"
    lines.append(f"est. cycles/MAC: a model of the core, weights in SRAM, and in flash at {clock}; an estimate.")
    lines.append("errors: of 28 steps, from float64. flash: the kernel's code and tables. RAM: state and buffers.")
    if target.kind != "native":
        from harness.bench import kernel_flash_bytes
        from harness.build.elf import sizes
        from harness.build.platformio import firmware_elf

        elf = firmware_elf(say, chip.platformio_environment)
        memory = sizes(elf)
        lines.append(
            f"program: flash {memory.flash_bytes} bytes, of these the engine with all kernels "
            f"{kernel_flash_bytes(None, elf)}; variables {memory.variable_bytes}, stack {memory.stack_bytes}, "
            f"arena {memory.arena_bytes}"
        )
    return lines
