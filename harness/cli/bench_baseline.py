"""`hil bench --baseline`: the figures against those of a committed file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from harness.errors import ExitCode, UsageError
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from rich.console import Console

    from harness.baseline import Baseline, Comparison
    from harness.bench import Cost


@dataclass(frozen=True)
class BaselineOptions:
    """What was asked for.

    Attributes:
        path: the file; None: nothing was.
        percent: how much worse a figure may be; None: what the file says.
        update: put the new figures into it.
        strict: what cannot be compared fails too.
    """

    path: Path | None
    percent: float | None
    update: bool
    strict: bool

    def check(self) -> None:
        """Refuse what makes no sense, and a file that is none, before anything is measured.

        Raises:
            UsageError: so it is.
        """
        from harness.baseline import check_percent

        given = [
            option
            for option, is_given in (
                ("--baseline-percent", self.percent is not None),
                ("--update-baseline", self.update),
                ("--baseline-strict", self.strict),
            )
            if is_given
        ]
        if self.path is None and given:
            raise UsageError(f"{given[0]} was given without --baseline", remedy="name the file: --baseline FILE")
        if self.update and self.strict:
            raise UsageError("--update-baseline and --baseline-strict were both given", remedy="leave out one of them")
        check_percent(self.percent, "--baseline-percent")
        if self.path is not None:
            self._read(self.path)

    def judge(self, console: Console, target: TargetChoice, costs: Sequence[Cost]) -> int:
        """Print what is worse, and the exit code; or write the file anew.

        Raises:
            UsageError: the file cannot be written.
        """
        if self.path is None:
            return int(ExitCode.PASS)
        from harness.baseline import Key, compare_with, entry_of
        from harness.bench import INTERRUPT_INSTRUCTIONS, INTERRUPT_STACK_BYTES, STEPS

        name = target.name if target.kind == "board" and target.name else target.kind
        measured = {
            Key(name, cost.input_size, cost.units, cost.kernel): entry_of(cost.compiler, asdict(cost)) for cost in costs
        }
        baseline = self._read(self.path)
        of_interrupt = INTERRUPT_INSTRUCTIONS / STEPS
        slack = {"instructions_per_step": of_interrupt, "cycles_per_step": of_interrupt}
        found = compare_with(baseline, measured, self.percent, {**slack, "stack_bytes": INTERRUPT_STACK_BYTES})
        self._print(console, found)
        if self.update:
            _write(self.path, baseline.updated(measured))
            console.print(f"written {self.path}, {len(measured)} of its entries new", markup=False)
            return int(ExitCode.PASS)
        percent = baseline.percent if self.percent is None else self.percent
        has_failed = bool(found.worse) or (self.strict and bool(found.notes))
        console.print(
            f"BASELINE {'FAIL' if has_failed else 'PASS'} {self.path.name}: {len(found.worse)} of {found.compared} "
            f"figures worse by more than {percent:g} %, {len(found.notes)} entries not compared in full",
            markup=False,
        )
        return int(ExitCode.OUT_OF_TOLERANCE if has_failed else ExitCode.PASS)

    def _print(self, console: Console, found: Comparison) -> None:
        for note in () if self.update else found.notes:
            console.print(f"note    {note}", markup=False)
        for difference in found.better:
            console.print(f"better  {difference}", markup=False)
        for difference in found.worse:
            console.print(f"worse   {difference}", markup=False)
        if found.better and not self.update:
            console.print("        --update-baseline keeps what is better from getting lost again")

    def _read(self, path: Path) -> Baseline:
        from harness.baseline import DEFAULT_PERCENT, Baseline, read_baseline

        if self.update and not path.exists():
            return Baseline(DEFAULT_PERCENT if self.percent is None else self.percent, {})
        return read_baseline(path)


def _write(path: Path, baseline: Baseline) -> None:
    from harness.baseline import baseline_text
    from harness.report.record import replacing

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            file.write(baseline_text(baseline).encode())
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", remedy="name another file") from error
