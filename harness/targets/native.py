"""The firmware as a process of this machine: the same C above board.h, with the sanitizers on."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from harness.targets.process import ProcessTarget, start_on_pipes
from harness.transport.base import Transport
from harness.transport.pipes import Pipes
from harness.transport.serial_port import BAUD

UART_CLOCK_HZ = 45_000_000
"""What it announces where its line has a baud: the chip's (firmware/port/host/board.c)."""


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
        self._baud_log: int | None = None

    def start(self) -> Transport:
        """Start the process."""
        # The firmware allocates nothing; the leak check would only cost time at the end.
        env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0", "UBSAN_OPTIONS": "print_stacktrace=1"}
        argv = [str(self._executable)]
        descriptors: tuple[int, ...] = ()
        if self._baud_log is not None:
            os.ftruncate(self._baud_log, 0)
            descriptors = (self._baud_log,)
            env["LSTM_HIL_BAUD_LOG"] = str(self._baud_log)
        self._process, self._line = start_on_pipes(
            argv, self._log_path, "the native firmware", env=env, pass_fds=descriptors
        )
        return self._line

    def give_baud(self) -> None:
        """From the next start on its line has a baud, as far as the firmware is concerned: that of a chip's USART."""
        if self._baud_log is None:
            self._baud_log = os.memfd_create("baud")

    def baud_of(self, number: int) -> int:
        """The firmware's baud when it sent a byte.

        Args:
            number: of the byte, the first one being 0; beyond all: the present baud.
        """
        assert self._baud_log is not None, "give_baud() comes first"
        size = os.fstat(self._baud_log).st_size
        baud = 0
        for each, sent in struct.iter_unpack("<II", os.pread(self._baud_log, size, 0)):
            baud = each if sent <= number else baud
        return baud or BAUD

    def stop(self) -> None:
        """End the process. May be called twice, and without `start`."""
        super().stop()
        if self._baud_log is not None:
            os.close(self._baud_log)
            self._baud_log = None

    def is_settled(self) -> bool:
        """Whether it has taken all that it was sent and waits for more. It sleeps nowhere but in front of its line."""
        # In this order: what wrote to the line has woken it, so an empty line and then sleep is the end of all work.
        return self._line is None or self._process is None or (self._line.is_drained() and self._process.is_asleep())

    def description(self) -> dict[str, Any]:
        """Nothing beyond what the firmware says."""
        return {}
