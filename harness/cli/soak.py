"""`hil soak`: right bits or a typed error over a line that errs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import PerModel
from harness.cli.options import ready_target, takes_target
from harness.errors import UsageError
from harness.findings.writing import writing
from harness.targets.choice import TargetChoice
from harness.transport.fault_rates import PRESETS, parse_faults

if TYPE_CHECKING:
    from rich.console import Console

    from harness.soak.record import SoakRecord


@takes_target
def soak_command(
    target: TargetChoice,
    faults: Annotated[
        str,
        typer.Option("--faults", metavar="RATES", help=f"{', '.join(PRESETS)}, or rates as bits=1e-4,reset=0.01."),
    ] = "noisy",
    exchanges: Annotated[int, typer.Option("--exchanges", metavar="N", help="How many.")] = 1000,
    seed: Annotated[int, typer.Option("--seed", metavar="S", help="What all that is random comes from.")] = 0,
    first: Annotated[
        int, typer.Option("--first", metavar="K", help="Number of the first exchange, to play one again.")
    ] = 0,
    json_option: Annotated[
        str | None, typer.Option("--json", metavar="F", help="The record as JSON; a folder gets soak.json.")
    ] = None,
) -> int:
    """Load and run over a line with faults: every exchange must give the right bits or a typed error, in time."""
    rates = parse_faults(faults)
    if exchanges < 1 or first < 0:
        raise UsageError(
            f"--exchanges is {exchanges}, --first is {first}",
            remedy="give --exchanges a number of at least 1, and --first one of at least 0",
        )
    name = Path("soak")
    json_path = PerModel("--json", json_option, ".json", [name]).writable().of(name)

    from harness.report.progress import RunsProgress
    from harness.report.record import write_record
    from harness.report.terminal import make_console, print_error
    from harness.soak.record import SCHEMA
    from harness.soak.run import Soak
    from harness.workbench import explained, locate

    ready = ready_target(target)
    console = make_console()
    console.print(f"target  {target}", markup=False)
    console.print(f"faults  {rates}; seed {seed}", markup=False)
    with RunsProgress(console, exchanges) as progress:
        record = Soak(ready, rates, seed, locate=locate).run(exchanges, first, lambda done, _: progress.finished(done))
    if record.error is not None:
        record.error = explained(ready, record.error)
    _print(console, record, target)
    if json_path is not None:
        target_fields = {"kind": target.kind, "name": target.name, **ready.description()}
        with writing(json_path):
            write_record({"schema": SCHEMA, "target": target_fields, **record.to_json()}, json_path)
        console.print(f"written {json_path}", markup=False)
    if record.error is not None:
        print_error(console, record.error)
    return int(record.exit_code)


def _print(console: Console, record: SoakRecord, target: TargetChoice) -> None:
    rate = record.exchanges / record.duration_s if record.duration_s else 0.0
    injected = ", ".join(f"{name} {count}" for name, count in sorted(record.injected.items()) if count)
    errors = ", ".join(f"{code} {count}" for code, count in sorted(record.typed_errors.items()))
    for line in (
        f"done    {record.exchanges} exchanges in {record.duration_s:.1f} s, {rate:.1f} per s",
        f"faults  {injected or 'none happened'}",
        f"link    repeats {record.repeats}, bad frames {record.bad_frames}, loads recovered {record.recoveries}",
        f"right   {record.right}",
        f"errors  {sum(record.typed_errors.values())}" + (f": {errors}" if errors else ""),
        f"wrong   {record.wrong_numbers}",
        f"hangs   {record.hangs}",
    ):
        console.print(line, markup=False, highlight=False)
    for failure in record.failures:
        console.print(
            f"exchange {failure.exchange}, seed {record.seed}: {failure.kind}: {failure.detail}", markup=False
        )
    if record.failures:
        options = f"--board {target.board}" if target.board else f"--{target.kind}"
        options += f" --port {target.port}" if target.port else ""
        options += f" --faults {record.rates} --seed {record.seed} --first {record.failures[0].exchange} --exchanges 1"
        console.print(f"again   hil soak {options}", markup=False, soft_wrap=True)
