"""The chip's own ELF on QEMU.

QEMU has no STM32F446. `netduinoplus2` is an STM32F405: the same core (Cortex-M4F), 128 KB of SRAM, 1 MB of flash at the
same address and USART2 at the same address, so that the same ELF runs unchanged. What it lacks, the firmware notices:
the clock tree reads as zero (HSI is reported) and there is no cycle counter.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any

from harness.errors import HilError, TargetUnavailable
from harness.targets.process import ChildProcess
from harness.transport.base import Transport
from harness.transport.stream_socket import StreamSocket

PROGRAM = "qemu-system-arm"
MACHINE = "netduinoplus2"

_EXIT_WAIT_S = 1.0
"""An emulator that lost its line because it is dying has ended long before."""

_CONNECT_TIMEOUT_S = 20.0
"""QEMU connects within 0.1 s of its start; the rest is for a machine that is busy with something else."""


class QemuTarget:
    """The firmware under qemu-system-arm.

    Args:
        elf: made by `harness.build.platformio`.
        log_path: where QEMU's own messages go.
        count_instructions: run with -icount, so that TIM2 counts one tick per instruction. Slower; only for counting.
        flash_file: a file to lie in flash at `flash_address` from the start; the guest cannot write flash on QEMU.
        flash_address: where; the device announces its store's address.
    """

    kind = "qemu"

    def __init__(
        self,
        elf: Path,
        log_path: Path,
        *,
        count_instructions: bool = False,
        flash_file: Path | None = None,
        flash_address: int = 0,
    ) -> None:
        self._elf = elf
        self._log_path = log_path
        self._count_instructions = count_instructions
        self._flash_file = flash_file
        self._flash_address = flash_address
        self._process: ChildProcess | None = None

    def unavailable(self) -> HilError | None:
        """Why it cannot be started here, or None."""
        if shutil.which(PROGRAM) is None:
            reason = f"{PROGRAM} is not on the PATH"
        elif not self._elf.is_file():
            reason = f"{self._elf} is not there"
        else:
            return None
        return TargetUnavailable(f"qemu is not available: {reason}", remedy="run `hil setup`")

    def start(self) -> Transport:
        """Start QEMU; it connects to a free port of the loopback interface that we listen on."""
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            self._process = ChildProcess(self._argv(port), self._log_path)
            return StreamSocket(self._accept(listener), "QEMU")

    def stop(self) -> None:
        """End QEMU."""
        if self._process is not None:
            self._process.stop()

    def description(self) -> dict[str, Any]:
        """Machine and version."""
        return {"machine": MACHINE, "emulator": version()}

    def notes(self) -> tuple[str, ...]:
        """Nothing."""
        return ()

    def post_mortem(self) -> str | None:
        """How QEMU died, if it did."""
        if self._process is None:
            return None
        self._process.wait(_EXIT_WAIT_S)  # its line is closed a moment before it has ended
        return self._process.post_mortem()

    def _argv(self, port: int) -> list[str]:
        argv = [PROGRAM, "-M", MACHINE, "-kernel", str(self._elf), "-nographic", "-monitor", "none"]
        # The first serial port is USART1, which we do not use; the second one is USART2.
        argv += ["-chardev", f"socket,id=usart2,host=127.0.0.1,port={port},nodelay=on"]
        argv += ["-serial", "null", "-serial", "chardev:usart2"]
        if self._count_instructions:
            argv += ["-icount", "shift=0"]
        if self._flash_file is not None:
            argv += ["-device", f"loader,file={self._flash_file},addr={self._flash_address:#x},force-raw=on"]
        return argv

    def _accept(self, listener: socket.socket) -> socket.socket:
        assert self._process is not None
        listener.settimeout(0.05)
        deadline_s = time.monotonic() + _CONNECT_TIMEOUT_S
        while time.monotonic() < deadline_s:
            try:
                return listener.accept()[0]
            except TimeoutError:
                if self._process.exit_status() is not None:
                    break
        reason = self._process.post_mortem() or f"it did not connect within {_CONNECT_TIMEOUT_S:g} s"
        self._process.stop()
        raise TargetUnavailable(f"QEMU did not start: {reason}", remedy=f"try `{PROGRAM} --version` by hand")


def version() -> str:
    """QEMU's version line, or an empty string without QEMU."""
    program = shutil.which(PROGRAM)
    if program is None:
        return ""
    output = subprocess.run([program, "--version"], capture_output=True, text=True, check=False)
    return output.stdout.splitlines()[0] if output.stdout else ""
