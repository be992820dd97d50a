"""`hil bench --link`: goodput of the link, direction by direction and rate by rate."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness import __version__
from harness.cli.options import PROGRAMS, ready_target, say
from harness.errors import HilError, UsageError
from harness.findings.writing import writing
from harness.protocol.baud import real_baud
from harness.protocol.wire import BOOT_BAUD
from harness.targets.base import Target
from harness.targets.choice import TargetChoice
from harness.targets.native import UART_CLOCK_HZ, NativeTarget
from harness.transport.base import Transport
from harness.transport.paced import USB_FRAME_S, PacedTransport, RealTime, VirtualTime

if TYPE_CHECKING:
    from rich.table import Table

    from harness.link_bench.chip import ChipLink
    from harness.link_bench.record import Goodput

SCHEMA = "lstm-hil/link-bench/1"
"""Name and version of the record."""


def bench_link(choice: TargetChoice, json_path: Path | None) -> int:
    """Measure, print the table, write the record.

    Args:
        choice: the target.
        json_path: where the record goes; None: nowhere.
    """
    target = ready_target(choice)
    reason = target.unavailable()
    if reason is not None:
        raise reason

    from harness.link_bench.chip import lines_of
    from harness.link_bench.device_work import WORK
    from harness.report.record import write_record
    from harness.report.terminal import make_console
    from harness.workbench import explained

    console = make_console()
    console.print(f"target  {choice}", markup=False)
    try:
        rows = _measured(target)
    except HilError as error:
        raise explained(target, error) from error
    console.print(_table(rows))
    for line in _remarks(choice, rows):
        console.print(line, markup=False, highlight=False)
    chip = _chip()
    for line in ["link on the chip: not known without arm-none-eabi-gcc"] if chip is None else lines_of(chip):
        console.print(line, markup=False, highlight=False)
    if json_path is not None:
        record: dict[str, Any] = {
            "schema": SCHEMA,
            "hil_version": __version__,
            "target": {"kind": choice.kind, "name": choice.name},
            "time": _time_of(choice),
            "usb_frame_s": None if choice.kind == "board" else USB_FRAME_S,
            "device_work_cycles": asdict(WORK) if choice.kind == "native" else None,
            "rows": [row.to_json() for row in rows],
            "chip": None if chip is None else chip.to_json(),
        }
        with writing(json_path):
            write_record(record, json_path)
        console.print(f"written {json_path}", markup=False)
    return 0


def _chip() -> ChipLink | None:
    """What the link takes on the chip; None where its program cannot be built or read."""
    if any(shutil.which(program) is None for program in PROGRAMS["qemu"][:1]):
        return None

    from harness.build.platformio import firmware_elf
    from harness.link_bench.chip import chip_link

    return chip_link(firmware_elf(say))


def _time_of(choice: TargetChoice) -> str:
    return "virtual" if choice.kind == "native" else "real"


def _measured(target: Target) -> list[Goodput]:
    from harness.link_bench.run import BAUD_ERRORS, BAUDS, measure

    rows: list[Goodput] = []
    for baud in BAUDS:
        say(f"{baud} baud ...")
        with _Ended(target):
            line, now_s = _line(target, baud)
            try:
                rows += measure(line, baud, now_s)
            except UsageError as error:
                line.close()
                if error.code not in BAUD_ERRORS:
                    raise
                say(f"{baud} baud: {error.message}")
    return rows


def _line(target: Target, baud: int) -> tuple[Transport, Callable[[], float]]:
    """A line to a target that has just been started, and its clock."""
    if target.kind == "board":
        return target.start(), time.monotonic
    if not isinstance(target, NativeTarget):
        real = RealTime()
        return PacedTransport(target.start(), baud, real), real.now_s

    from harness.link_bench.device_work import ChipTime

    target.give_baud()
    line, virtual = target.start(), VirtualTime(target.is_settled)

    def device_baud(number: int) -> int:
        nominal = target.baud_of(number)
        return round(real_baud(UART_CLOCK_HZ, nominal) or nominal)

    # It begins at the baud of the boot, and goes to the other one as a board does.
    return PacedTransport(line, BOOT_BAUD, virtual, device_baud=device_baud, device_time=ChipTime()), virtual.now_s


class _Ended:
    """A target that is ended, however the block ends."""

    def __init__(self, target: Target) -> None:
        self._target = target

    def __enter__(self) -> None:
        return

    def __exit__(self, *_: object) -> None:
        self._target.stop()


def _table(rows: list[Goodput]) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("direction")
    for title in ("baud", "payload", "seconds", "requests", "goodput"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("what takes most of the rest")
    for row in rows:
        table.add_row(
            row.direction.replace("_", " "),
            str(row.baud),
            str(row.payload_bytes),
            f"{row.time_s:.3f}",
            str(row.requests),
            f"{row.goodput:.1%}",
            row.limit,
        )
    return table


def _remarks(choice: TargetChoice, rows: list[Goodput]) -> list[str]:
    """What the figures are."""
    lines = [
        "goodput: payload bytes * 10 / (baud * seconds). to device: a load, from its first byte to the acknowledged",
        "commit. to host: h and c of each step, from the first request to the last reply.",
    ]
    if choice.kind == "native":
        lines.append("time: the line's own, and an estimate of the chip's; what the host computes is not in it.")
    elif choice.kind == "board":
        lines.append("time: this machine's, with everything in it.")
    else:
        lines.append(
            f"time: this machine's. {choice.kind} moves 20 to 100 kB/s by itself: above 115200 baud that is measured."
        )
    if any(row.goodput > 1 for row in rows):
        lines.append("above 100 %: this line has no pace of its own, as a pseudo-terminal has none.")
    return lines
