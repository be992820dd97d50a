"""The firmware as a process of this machine: the same C above board.h, with the sanitizers on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.targets.process import ProcessTarget, start_on_pipes
from harness.transport.base import Transport
from harness.transport.pipes import Pipes


class NativeTarget(ProcessTarget):
    """The firmware as a host process.

    Args:
        executable: made by `harness.build.native`.
        log_path: where its standard error goes; a sanitizer's report, if there is one.
    """

    kind = "native"

    exit_wait_s = 2.0
    """A sanitizer writes its report between closing the line and ending."""

    def __init__(self, executable: Path, log_path: Path) -> None:
        super().__init__([executable], log_path)
        self._executable = executable
        self._line: Pipes | None = None

    def start(self) -> Transport:
        """Start the process."""
        # The firmware allocates nothing; the leak check would only cost time at the end.
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        argv = [str(self._executable)]
        self._process, self._line = start_on_pipes(argv, self._log_path, "the native firmware", env=env)
        return self._line

    def is_settled(self) -> bool:
        """Whether it has taken all that it was sent and waits for more. It sleeps nowhere but in front of its line."""
        # In this order: what wrote to the line has woken it, so an empty line and then sleep is the end of all work.
        return self._line is None or self._process is None or (self._line.is_drained() and self._process.is_asleep())

    def description(self) -> dict[str, Any]:
        """Nothing beyond what the firmware says."""
        return {}
