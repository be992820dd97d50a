"""The chip's own ELF on QEMU.

QEMU has no STM32F446. `netduinoplus2` is an STM32F405: the same core (Cortex-M4F), 128 KB of SRAM, 1 MB of flash at the
same address and USART2 at the same address, so that the same ELF runs unchanged. What it lacks, the firmware notices:
the clock tree reads as zero (HSI is reported) and there is no cycle counter.
"""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.errors import HilError
from harness.targets.emulator import EmulatorTarget
from harness.targets.process import start_on_pipes
from harness.transport.base import Transport

PROGRAM = "qemu-system-arm"
MACHINE = "netduinoplus2"

_GATHER_S = 0.0002
"""QEMU sends a byte in 3 us if nobody is woken for it, so these are some 60 bytes: a short reply, whole."""


@dataclass(frozen=True)
class Trace:
    """A log of executed blocks of code.

    Attributes:
        path: where it is written.
        ranges: (address, size in bytes) of the code that is logged.
    """

    path: Path
    ranges: tuple[tuple[int, int], ...]


class QemuTarget(EmulatorTarget):
    """The firmware under qemu-system-arm.

    Args:
        elf: made by `harness.build.platformio`.
        log_path: where QEMU's own messages go.
        count_instructions: run with -icount, so that TIM2 counts one tick per instruction. Slower; only for counting.
        trace: what to log of the execution, if anything.
    """

    kind = "qemu"

    def __init__(
        self, elf: Path, log_path: Path, *, count_instructions: bool = False, trace: Trace | None = None
    ) -> None:
        super().__init__([elf], log_path)
        self._elf = elf
        self._count_instructions = count_instructions
        self._trace = trace

    def unavailable(self) -> HilError | None:
        """Why it cannot be started here, or None."""
        if shutil.which(PROGRAM) is None:
            return self.not_available(f"{PROGRAM} is not on the PATH")
        return super().unavailable()

    def start(self) -> Transport:
        """Start QEMU with the line on its standard input and output: pipes cost it less per byte than sockets."""
        argv = self._argv(self.flash_file(self.new_folder()))
        self._process, line = start_on_pipes(argv, self._log_path, "QEMU", gather_s=_GATHER_S)
        return line

    def description(self) -> dict[str, Any]:
        """Machine and version, and whether its ticks are instructions."""
        counts = {"counts_instructions": True} if self._count_instructions else {}
        return {"machine": MACHINE, "emulator": version(), **counts}

    def _argv(self, flash_file: Path | None) -> list[str]:
        argv = [PROGRAM, "-M", MACHINE, "-kernel", str(self._elf), "-nographic", "-monitor", "none"]
        # The first serial port is USART1, which we do not use; the second one is USART2.
        # mux=on puts a queue before it, without which QEMU polls anew for each byte that the guest has taken: half the
        # speed. Its escape character would be part of our data, so it is set to one that is no byte.
        argv += ["-chardev", "stdio,id=usart2,signal=off,mux=on", "-echr", "256"]
        argv += ["-serial", "null", "-serial", "chardev:usart2"]
        if self._count_instructions:
            argv += ["-icount", "shift=0"]
        if self._trace is not None:
            ranges = ",".join(f"{start:#x}+{size:#x}" for start, size in self._trace.ranges)
            argv += ["-d", "exec,nochain", "-D", str(self._trace.path), "-dfilter", ranges]
        if flash_file is not None:
            name = str(flash_file).replace(",", ",,")
            argv += ["-device", f"loader,file={name},addr={self._preload_address:#x},force-raw=on"]
        return argv


@lru_cache
def version() -> str:
    """QEMU's version line, or an empty string without QEMU."""
    program = shutil.which(PROGRAM)
    if program is None:
        return ""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return output.stdout.splitlines()[0] if output.stdout else ""
