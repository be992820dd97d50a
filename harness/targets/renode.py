"""The chip's own ELF on Renode, with a platform description of the STM32F446RE.

The line is a pseudo-terminal that Renode makes: its sockets listen on all interfaces of the machine, and nothing here
listens on any. What a run shows and what it cannot show is in docs/DESIGN.md.
"""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path
from typing import Any

from harness.errors import TargetUnavailable
from harness.targets.emulator import EmulatorTarget
from harness.targets.process import ChildProcess
from harness.transport.base import Transport
from harness.transport.serial_port import SerialPort

PLATFORM = Path(__file__).parent / "platforms" / "stm32f446re.repl"

_START_TIMEOUT_S = 60.0
"""Renode makes its pseudo-terminal 2 s after its start; the rest is for a busy machine and a package's first start."""

_POLL_S = 0.02

CHECKED_VERSION = "1.16."
"""Others differ in what they compute: 1.15.3 sets the GE flags wrong, and with them what SEL selects."""

_VERSION = re.compile(r"Renode, version (\S+)")

_SCRIPT_ERROR = re.compile(r"There was an error executing command|No such command or device|Could not tokenize")
"""What Renode writes when it gives up a script. It then waits for commands, and its exit status is 0 all the same."""


class RenodeTarget(EmulatorTarget):
    """The firmware under Renode.

    Args:
        elf: made by `harness.build.platformio`.
        log_path: where Renode's own messages go.
        launcher: the program `renode`.
    """

    kind = "renode"

    def __init__(self, elf: Path, log_path: Path, launcher: Path) -> None:
        super().__init__([launcher, elf], log_path)
        self._elf = elf
        self._launcher = launcher

    def start(self) -> Transport:
        """Start Renode, and open the pseudo-terminal that it makes."""
        folder = self.new_folder()
        link, script = folder / "usart2", folder / "run.resc"
        script.write_text(self._script(link, self.flash_file(folder)), encoding="utf-8")
        argv = [str(self._launcher), "--disable-xwt", "--plain", "--console"]
        # Its settings, of which several at a time would get into each other's way, in a file of its own.
        argv += ["--config", str(script.with_name("config")), "--execute", f"include {_path(script)}"]
        try:
            # With its input closed it would end after the script; with an open one it ends when we do.
            self._process = ChildProcess(argv, self._log_path, ends_with_input=True)
            return SerialPort(self._await_port(link))
        except BaseException:
            self.stop()
            raise

    def description(self) -> dict[str, Any]:
        """Machine, the hash of its description and, once it was started, version."""
        version = self._version()
        return {
            "machine": PLATFORM.stem,
            "platform_sha256": hashlib.sha256(PLATFORM.read_bytes()).hexdigest(),
            "emulator": f"Renode {version}" if version else "",
        }

    def notes(self) -> tuple[str, ...]:
        """Whether this is another version than the one that this was checked with."""
        version = self._version()
        if not version or version.startswith(CHECKED_VERSION):
            return ()
        return (f"this is Renode {version}; the target was checked with {CHECKED_VERSION}x",)

    def _script(self, link: Path, flash_file: Path | None) -> str:
        lines = [
            "mach create",
            f"machine LoadPlatformDescription {_path(PLATFORM)}",
            f"sysbus LoadELF {_path(self._elf)}",
        ]
        if flash_file is not None:
            lines.append(f"sysbus LoadBinary {_path(flash_file)} {self._preload_address:#010x}")
        # Last but for the start: where this is, all before it went well.
        lines += [f'emulation CreateUartPtyTerminal "usart2" "{link}" true', "connector Connect sysbus.usart2 usart2"]
        return "\n".join([*lines, "start", ""])

    def _await_port(self, link: Path) -> str:
        """The device that Renode's link leads to."""
        assert self._process is not None
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not link.exists():
            if self._process.exit_status() is not None:
                raise self._not_started(self._process.post_mortem() or "it ended")
            if _SCRIPT_ERROR.search(self._log()):
                self._process.stop()  # the reason follows in a line of its own
                raise self._not_started(f"its script failed; log {self._log_path}:\n{self._process.log_tail()}")
            if time.monotonic() >= deadline_s:
                raise self._not_started(
                    f"it made no pseudo-terminal within {_START_TIMEOUT_S:g} s; log {self._log_path}:\n"
                    f"{self._process.log_tail()}"
                )
            time.sleep(_POLL_S)
        return str(link.resolve())

    def _version(self) -> str:
        found = _VERSION.search(self._log())
        return found.group(1) if found else ""

    def _log(self) -> str:
        return self._log_path.read_text(errors="replace") if self._log_path.is_file() else ""

    def _not_started(self, reason: str) -> TargetUnavailable:
        return TargetUnavailable(
            f"Renode ({self._launcher}) did not start: {reason}",
            code="renode_not_started",
            remedy=f"try `{self._launcher} --version` by hand; 1.16.1 is the version that this is made for",
        )


def _path(path: Path) -> str:
    """A path as Renode's monitor reads it."""
    return "@" + str(path).replace(" ", "\\ ")
