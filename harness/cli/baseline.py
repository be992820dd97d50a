"""`--baseline` of `hil bench` and `hil validate`: figures against those of a committed file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.baseline import AnyKey, Baseline, Comparison, Entry

BaselineFile = Annotated[
    Path | None, typer.Option("--baseline", metavar="FILE", help="Fail where a figure is worse than in this file.")
]
BaselinePercent = Annotated[
    float | None,
    typer.Option("--baseline-percent", metavar="X", help="How much worse it may be. Default: what the file says."),
]
UpdateBaseline = Annotated[
    bool, typer.Option("--update-baseline", help="Put the figures into the file, in place of old ones.")
]
BaselineStrict = Annotated[
    bool, typer.Option("--baseline-strict", help="Fail also where the file has nothing to compare with.")
]


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

    def judge(
        self, console: Console, measured: Mapping[AnyKey, Entry], slack: Mapping[str, float] | None = None
    ) -> ExitCode:
        """Print what is worse, and the exit code; or write the file anew.

        Args:
            console: for people.
            measured: the figures.
            slack: see `compare_with`.

        Raises:
            UsageError: the file cannot be written.
        """
        if self.path is None:
            return ExitCode.PASS
        from harness.baseline import compare_with
        from harness.report.baselines import write_baseline

        baseline = self._read(self.path)
        found = compare_with(baseline, measured, self.percent, slack)
        self._print(console, found)
        if self.update:
            write_baseline(baseline.updated(measured), self.path)
            console.print(f"written {self.path}, {len(measured)} of its entries new", markup=False)
            return ExitCode.PASS
        percent = baseline.percent if self.percent is None else self.percent
        has_failed = bool(found.worse) or (self.strict and bool(found.notes))
        console.print(
            f"BASELINE {'FAIL' if has_failed else 'PASS'} {self.path.name}: {len(found.worse)} of {found.compared} "
            f"figures worse by more than {percent:g} %, {len(found.notes)} entries not compared in full",
            markup=False,
        )
        return ExitCode.OUT_OF_TOLERANCE if has_failed else ExitCode.PASS

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
