"""The workbenches of a run of pytest, and what is told while a test waits for one."""

from __future__ import annotations

import logging
import sys
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from typing import TYPE_CHECKING

import pytest

from harness.pytest_plugin.options import choices_of
from harness.pytest_plugin.reports import wants_reports

if TYPE_CHECKING:
    from harness.protocol.messages import Log
    from harness.targets.choice import TargetChoice
    from harness.workbench import Workbench


class Benches:
    """A workbench for each kind of target, made when first asked for.

    Of several boards it holds one at a time: two workers that each have one and wait for the other's would never end.
    """

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._open: dict[str, tuple[Workbench, ExitStack]] = {}
        self._failures: dict[tuple[str, ...], Exception] = {}

    def __call__(self, kind: str, boards: Sequence[str] = ()) -> Workbench:
        """The workbench of a kind.

        Args:
            kind: of the target.
            boards: names of which a board must have one, if one of them was asked for; empty: any.

        Raises:
            HilError: it is not there; said again each time without another try.
        """
        from harness.errors import HilError
        from harness.targets.choice import TargetChoice

        choices = choices_of(self._config).get(kind) or (TargetChoice(kind),)
        choices = tuple(choice for choice in choices if choice.board in boards) or choices
        names = {choice.board for choice in choices}
        if kind in self._open:
            bench, _ = self._open[kind]
            if kind != "board" or bench.target.description()["name"] in names:
                return bench
            self._close(kind)
        key = (kind, *sorted(names))
        if key in self._failures:
            raise self._failures[key]
        try:
            self._open[kind] = self._leased(choices)
        except HilError as error:
            self._failures[key] = error
            raise
        return self._open[kind][0]

    def close(self) -> None:
        """End and give back all."""
        for kind in list(self._open):
            self._close(kind)

    def _leased(self, choices: tuple[TargetChoice, ...]) -> tuple[Workbench, ExitStack]:
        from harness.protocol.faults import earlier_fault_text
        from harness.targets.pool import Pool
        from harness.workbench import Workbench, make_target

        pool = Pool(
            choices,
            lambda choice: make_target(choice, lambda _: None, counts_instructions=wants_reports(self._config)),
            wait_s=choices[0].wait_s,
            say=lambda text: say(self._config, text),
        )
        pool.check()
        lease = ExitStack()
        target = lease.enter_context(pool.lease())
        return Workbench(
            target, on_log=_log, on_fault=lambda fault: say(self._config, earlier_fault_text(fault))
        ), lease

    def _close(self, kind: str) -> None:
        bench, lease = self._open.pop(kind)
        bench.close()
        lease.close()


def say(config: pytest.Config, text: str) -> None:
    """On the terminal, at once: pytest keeps what is written while a test waits, also in a worker."""
    capture = config.pluginmanager.get_plugin("capturemanager")
    with capture.global_and_fixture_disabled() if capture else nullcontext():
        worker = getattr(config, "workerinput", {}).get("workerid")  # of pytest-xdist
        sys.stderr.write(f"\nhil{f' {worker}' if worker else ''}: {text}\n")
        sys.stderr.flush()


def _log(log: Log) -> None:
    """What a device tells, where pytest shows what was logged: with the test that failed."""
    from harness.protocol.logs import log_text

    logging.getLogger("hil.device").log(log.level * 10 + 10, "%s", log_text(log))  # INFO 1 is logging's 20
