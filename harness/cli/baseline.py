"""`--baseline` of `hil bench` and `hil validate`: figures against those of a committed file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.errors import ExitCode, HilError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.baseline import AnyKey, Baseline, Comparison, Entry, Held
    from harness.targets.choice import TargetChoice
    from harness.validation import Validation

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
        from harness.report.baselines import write_baseline

        baseline = self._read(self.path)
        held = self._held(self.path, baseline, measured, slack)
        found = held.found
        self._print(console, found)
        if self.update:
            write_baseline(baseline.updated(measured), self.path)
            console.print(f"written {self.path}, {len(measured)} of its entries new", markup=False)
            return ExitCode.PASS
        console.print(
            f"BASELINE {'FAIL' if held.has_failed else 'PASS'} {held.file}: {len(found.worse)} of {found.compared} "
            f"figures worse by more than {held.percent:g} %, {len(found.notes)} entries not compared in full",
            markup=False,
        )
        return ExitCode.OUT_OF_TOLERANCE if held.has_failed else ExitCode.PASS

    def held(self, measured: Mapping[AnyKey, Entry]) -> Held | None:
        """Figures against the file; None where there is none, or it is to be written anew.

        Raises:
            UsageError: it cannot be read.
        """
        if self.path is None or self.update:
            return None
        return self._held(self.path, self._read(self.path), measured)

    def _held(
        self,
        path: Path,
        baseline: Baseline,
        measured: Mapping[AnyKey, Entry],
        slack: Mapping[str, float] | None = None,
    ) -> Held:
        from harness.baseline import Held, compare_with

        found = compare_with(baseline, measured, self.percent, slack)
        return Held(path.name, baseline.percent if self.percent is None else self.percent, found, self.strict)

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


class HeldRuns:
    """The models of a command line against a baseline, each before its record is written.

    Args:
        options: what was asked for.
        target: on which they run.
    """

    def __init__(self, options: BaselineOptions, target: TargetChoice) -> None:
        self._options = options
        self._target = target
        self._measured: dict[AnyKey, Entry] = {}

    def hold(self, run: Validation) -> None:
        """Hold a run that passed against the file: figures of wrong numbers say nothing, and must not get into it."""
        if self._options.path is None or not run:
            return
        from harness.report.baselines import model_entry

        key, entry = model_entry(run, self._target)
        self._measured[key] = entry
        try:
            run.baseline = self._options.held({key: entry})
        except HilError as error:  # the file was there before the run
            run.error = error

    def judge(self) -> ExitCode:
        """Print what came of all of them, and write the file where that is wanted. Errors: see `BaselineOptions`."""
        if self._options.path is None:
            return ExitCode.PASS
        from harness.report.terminal import make_console

        return self._options.judge(make_console(), self._measured)
