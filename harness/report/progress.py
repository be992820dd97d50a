"""How far many runs have come: one bar for a person, a line now and then for a pipe."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, TextColumn
from rich.progress import Progress as ProgressBar

from harness.spread.pace import Pace

_LINE_EVERY_S = 5.0
"""Between two lines of progress in a pipe, which holds the results too."""


class RunsProgress:
    """Shows the progress of runs.

    Args:
        console: where; results may be printed to it meanwhile.
        total: how many runs.
        workers: how many at once.
    """

    def __init__(self, console: Console, total: int, workers: int = 1) -> None:
        self._console = console
        self._pace = Pace(total, time.monotonic)
        self._told_s = time.monotonic()
        self._is_doing = False
        self._about = f"on {workers} workers" if workers > 1 else ""
        columns = (BarColumn(), TextColumn("{task.fields[pace]}"), TextColumn("{task.description}"))
        self._bar = ProgressBar(*columns, console=console, transient=True, disable=not console.is_terminal)
        self._task = self._bar.add_task(self._about, total=total, pace=str(self._pace))

    def __enter__(self) -> RunsProgress:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def progressed(self, place: int, share: float) -> None:
        """A share of a run is done, 0 to 1. Of several runs a pipe is told only when one has ended."""
        self._pace.progressed(place, share)
        self._show()
        if self._pace.total == 1:
            self._tell(f"{share:.0%}, {self._pace}")

    def doing(self, text: str) -> None:
        """What is done once a run's share is whole, until it ends: only where one is done at a time."""
        if not self._is_doing:
            self._is_doing, self._told_s = True, time.monotonic()  # a pipe is told only of what lasts
        self._bar.update(self._task, description=text)
        self._tell(text)

    def finished(self, place: int) -> None:
        """A run has ended."""
        self._pace.finished(place)
        self._is_doing = False
        self._bar.update(self._task, description=self._about)
        self._show()
        if self._pace.done < self._pace.total:
            self._tell(str(self._pace))

    def _show(self) -> None:
        self._bar.update(self._task, completed=self._pace.done_with_shares, pace=str(self._pace))

    def _tell(self, text: str) -> None:
        now_s = time.monotonic()
        if not self._console.is_terminal and now_s - self._told_s >= _LINE_EVERY_S:
            self._told_s = now_s
            self._console.print(f"done    {text}", markup=False)
