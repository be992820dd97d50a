"""The firmware as a process of this machine: the same C above board.h, with the sanitizers on."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from harness.errors import HilError, TargetUnavailable
from harness.targets.process import ChildProcess, start_on_pipes
from harness.transport.base import Transport

_EXIT_WAIT_S = 2.0
"""A sanitizer writes its report between closing the line and ending."""


class NativeTarget:
    """The firmware as a host process.

    Args:
        executable: made by `harness.build.native`.
        log_path: where its standard error goes; a sanitizer's report, if there is one.
    """

    kind = "native"

    def __init__(self, executable: Path, log_path: Path) -> None:
        self._executable = executable
        self._log_path = log_path
        self._process: ChildProcess | None = None

    def unavailable(self) -> HilError | None:
        """Why it cannot be started here, or None."""
        if self._executable.is_file():
            return None
        return TargetUnavailable(f"native is not available: {self._executable} is not there", remedy="run `hil setup`")

    def start(self) -> Transport:
        """Start the process."""
        # The firmware allocates nothing; the leak check would only cost time at the end.
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        argv = [str(self._executable)]
        self._process, line = start_on_pipes(argv, self._log_path, "the native firmware", env=env)
        return line

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.stop()

    def description(self) -> dict[str, Any]:
        """Nothing beyond what the firmware says."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def post_mortem(self) -> str | None:
        """How it died, if it did."""
        if self._process is None:
            return None
        self._process.wait(_EXIT_WAIT_S)
        return self._process.post_mortem()
