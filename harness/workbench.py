"""What the command line and the pytest plugin share: a target by its name, with its firmware built, and a device on it.

One of the composers: it may import everything that they may.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from harness.build.paths import work_dir
from harness.device import Device
from harness.errors import (
    DeviceError,
    DeviceFault,
    DeviceReset,
    FlashError,
    HilError,
    LinkError,
    LinkTimeout,
    LocalProtocolError,
    MismatchError,
    TargetUnavailable,
)
from harness.lab.place import LabPlace
from harness.lab.target import LabgridTarget
from harness.line_rate import check_baud
from harness.protocol.faults import device_fault, fault_fields
from harness.protocol.messages import Log
from harness.protocol.wire import ResetCause
from harness.renode.find import find_renode
from harness.targets.base import Target
from harness.targets.board import BoardTarget
from harness.targets.boards import board
from harness.targets.choice import TargetChoice
from harness.targets.identity import DEVICE_ID_MASK
from harness.targets.native import NativeTarget
from harness.targets.program import Running
from harness.targets.qemu import QemuTarget
from harness.targets.renode import RenodeTarget
from harness.transport.base import Transport
from harness.transport.recording import Recording
from harness.transport.serial_port import SerialPort, parse_address

if TYPE_CHECKING:
    from harness.model.pack import ModelImage
    from harness.protocol.messages import Fault

TARGET_KINDS = ("qemu", "native")
"""Every target for which set-up gets all that it needs, the default one first."""

FLASH_TOOLS = ("platformio", "pyocd")
"""What can write a board's flash, the default first."""

_KEPT_LOGS = 50
"""A log is of use as long as somebody remembers the run."""

_FAULT_TIMEOUT_S = 3.0
"""For a device that has just restarted to be greeted once more: it boots in some 0.1 s."""

_numbers = count(1)  # tells the logs of one process apart

Say = Callable[[str], None]


def make_target(
    choice: TargetChoice,
    say: Say,
    recording: Recording | None = None,
    *,
    tool: str = FLASH_TOOLS[0],
    counts_instructions: bool = False,
) -> Target:
    """A target with its firmware built; a board's is built when the board is known to be there.

    What builds it is imported only for the target at hand: it takes as long to import as the rest of the program.

    Args:
        choice: which one.
        say: told what takes time.
        recording: of a board every line that it opens by itself, to find out what runs there, goes in here.
        tool: one of FLASH_TOOLS.
        counts_instructions: QEMU counts them, and is slower; no other target is changed by it.

    Raises:
        UsageError: a baud that the board's chip cannot have.
        TargetUnavailable: a tool is missing.
        BuildFailed: the firmware could not be built.
    """
    logs = work_dir() / "logs"
    for old in sorted(logs.glob("*.log"), key=_written_s)[:-_KEPT_LOGS]:
        old.unlink(missing_ok=True)
    log_path = logs / f"{choice.kind}-{os.getpid()}-{next(_numbers)}.log"
    if choice.kind == "qemu":
        from harness.build.platformio import firmware_elf

        return QemuTarget(firmware_elf(say), log_path, count_instructions=counts_instructions)
    if choice.kind == "native":
        from harness.build.native import native_executable

        return NativeTarget(native_executable(), log_path)
    if choice.kind == "renode":
        from harness.build.platformio import firmware_elf

        launcher = find_renode()  # before anything is built for it
        return RenodeTarget(firmware_elf(say), log_path, launcher)
    if choice.kind == "board":
        return _board_target(choice, say, recording, tool)
    raise ValueError(f"unknown target {choice.kind}")


def _board_target(choice: TargetChoice, say: Say, recording: Recording | None, tool: str) -> Target:
    named = board(choice.board)
    asked_baud = choice.baud or parse_address(choice.port).baud
    if asked_baud is not None:  # before a port is opened: a silent device must not be told of first
        check_baud(asked_baud, named.uart_clock_hz)

    def board_at(port: str | None) -> BoardTarget:
        return BoardTarget(
            named,
            ChipProgram(say, named.platformio_environment, named.pyocd_chip if tool == "pyocd" else None),
            port=port,
            serial_number=choice.serial_number,
            flash=choice.flash,
            baud=choice.baud,
            wait_s=choice.wait_s,
            say=say,
            open_line=SerialPort if recording is None else lambda url, baud: recording.line(SerialPort(url, baud), url),
        )

    if choice.labgrid_place is None:
        return board_at(choice.port)
    return LabgridTarget(LabPlace(choice.labgrid_place), board_at, choice.board, wait_s=choice.wait_s, say=say)


def _written_s(path: Path) -> float:
    """When a log was written; the oldest of all where another process has just removed it."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def locate(build_id: bytes, address: int) -> str:
    """The place of an address in the source of a program that was built here. What finds it is imported when needed."""
    from harness.build import places

    return places.locate(build_id, address)


class ChipProgram:
    """The firmware for the chip: what a board target wants to know of it, and to have done.

    Args:
        say: told what takes time.
        environment: section of platformio.ini, named after the board.
        pyocd_chip: pyOCD's name of the chip, to flash by pyOCD; None: by PlatformIO.
    """

    def __init__(self, say: Say, environment: str, pyocd_chip: str | None = None) -> None:
        self._say = say
        self._environment = environment
        self._pyocd_chip = pyocd_chip

    def build_id(self, *, may_build: bool) -> bytes | None:
        """The build id of our own ELF; None if it is not built and may not be."""
        from harness.build.elf import build_id
        from harness.build.platformio import current_elf, firmware_elf

        elf = firmware_elf(self._say, self._environment) if may_build else current_elf(self._environment)
        return None if elf is None else build_id(elf)

    def running_on(self, line: Transport, timeout_s: float) -> Running:
        """What the device on a line says of itself."""
        hello = Device(line, locate=locate).connect(timeout_s)
        return Running(hello.build_id, hello.board, hello.idcode & DEVICE_ID_MASK)

    def set_baud(self, line: Transport, baud: int) -> int:
        """Change the baud of both ends of a line."""
        device = Device(line)
        device.connect()
        return device.set_baud(baud)

    def upload(self, serial_number: str | None) -> None:
        """Write our ELF to the board whose probe has this serial number."""
        if self._pyocd_chip is not None:
            from harness.build import pyocd
            from harness.build.platformio import firmware_elf

            pyocd.upload(firmware_elf(self._say, self._environment), self._pyocd_chip, serial_number)
            return
        from harness.build.upload import upload

        upload(serial_number, self._environment)


class Workbench:
    """One target and, once asked for, a greeted device on it.

    A device that failed is discarded; the next call of `device` starts the target anew.

    Args:
        target: ended with the workbench.
        recording: every line to the target goes in here; not closed with the workbench.
        on_log: told each LOG of the device.
        on_fault: told of a fault that was there before, in the fields of docs/REPORT.md; that clears its record. None:
            it is left where it is.
    """

    def __init__(
        self,
        target: Target,
        recording: Recording | None = None,
        *,
        on_log: Callable[[Log], None] = lambda _: None,
        on_fault: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self.target = target
        self._on_log = on_log
        self._on_fault = on_fault
        self._recording = recording
        self._device: Device | None = None

    def device(self) -> Device:
        """A greeted device.

        Raises:
            TargetUnavailable: the target cannot be started here.
            FlashError: the board could not be flashed.
            LinkError, DeviceError, MismatchError: it was started and cannot be talked to.
        """
        if self._device is None:
            reason = self.target.unavailable()
            if reason is not None:
                raise reason
            try:
                line = self.target.start()
            except HilError as error:
                raise explained(self.target, error) from error
            device = Device(self._recorded(line), reopen=self._reopened, locate=locate, on_log=self._on_log)
            try:
                device.connect()
                if self._on_fault is not None and (fault := device.read_fault()) is not None:
                    self._on_fault(fault_fields(fault, locate))
                    device.clear_fault(fault)
            except HilError as error:
                device.close()
                raise self._not_greeted(error) from error
            self._device = device
        return self._device

    def _recorded(self, line: Transport) -> Transport:
        return line if self._recording is None else self._recording.line(line, self.target.kind)

    def _reopened(self) -> Transport | None:
        line = self.target.reopen()
        return None if line is None else self._recorded(line)

    def device_for(self, image: ModelImage) -> Device:
        """A greeted device for an image; errors: see `device`.

        What fits the arena goes over the link, as it does to a board. What does not fit goes to the flash store: over
        the link where the firmware can write it, else it must lie there when the emulator starts, which it does anew.
        """
        from harness.loading import must_be_preloaded  # NumPy comes with it

        device = self.device()
        if must_be_preloaded(device.info, image) and self.target.preload(image.data, device.info.store_address):
            self.end()
        return self.device()

    def _not_greeted(self, error: HilError) -> HilError:
        death = self.target.post_mortem() if isinstance(error, LinkError) else None
        if death is None:
            return self.failed(error)
        self.end()
        return TargetUnavailable(
            f"{self.target.kind} did not start: {death}", code="target_not_started", remedy="its log says why"
        )

    def failed(self, error: HilError) -> HilError:
        """Discard the device if an error says that it cannot be trusted any more; gives the error to report.

        Where the target died, that is how it died; where it fell silent, the error names its log.
        """
        if not isinstance(error, (LinkError, DeviceError, MismatchError, LocalProtocolError)):
            return error
        death = self.target.post_mortem() if isinstance(error, LinkError) else None
        log = self.target.log_path()
        if isinstance(error, DeviceReset):
            error = self._told(error)
        self.end()
        if death is None:
            if isinstance(error, LinkError) and log is not None:
                return type(error)(f"{error.message}; log {log}", code=error.code, remedy=error.remedy)
            return explained(self.target, error)
        return DeviceError(
            f"{self.target.kind} ended in the middle of the run: {death}",
            code="target_died",
            remedy="run again; unless something else killed it (out of memory?), report it with its log",
        )

    def _told(self, error: DeviceReset) -> DeviceReset:
        """What to report of a restart: the fault behind it, also where its frame was lost. That clears its record."""
        if self._device is None:
            return error
        fault: Fault | None = None
        with suppress(HilError):
            info = self._device.connect(_FAULT_TIMEOUT_S)
            if info.reset_cause & ResetCause.FAULT or isinstance(error, DeviceFault):
                fault = self._device.read_fault()
            if fault is not None:
                self._device.clear_fault(fault)
        return error if fault is None or isinstance(error, DeviceFault) else device_fault(fault, locate)

    def close(self) -> None:
        """End device and target, and let others have it. May be called twice."""
        self.end()
        self.target.release()

    def end(self) -> None:
        """End device and target; a board stays ours, for a run that goes on. May be called twice."""
        if self._device is not None:
            self._device.close()
            self._device = None
        self.target.stop()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def explained(target: Target, error: HilError) -> HilError:
    """The error to report where a board did not answer: what is found by looking at its port, for a few seconds.

    Args:
        target: whose line is closed.
        error: with which the run ended. Others than a silence, or an answer that makes no sense, say enough themselves.

    Returns:
        The finding, with the error as its `first`; the error itself where there is nothing to be found.
    """
    board_there = board_behind(target)
    is_puzzling = isinstance(error, LinkTimeout) or error.code in ("wrong_reply", "flash_not_verified")
    if board_there is None or not is_puzzling or error.first is not None:  # which has been looked into already
        return error
    from harness.doctor.line import IMPATIENT_S, examine

    try:
        place = board_there.place()
        examine(place.url, place.baud, board_there.open_line, timeout_s=IMPATIENT_S)
    except HilError as finding:
        if isinstance(error, FlashError):  # which it stays; the finding says why
            error.message, error.remedy = f"{error.message}; {finding.message}", finding.remedy
            return error
        if finding.message == error.message:  # what was met is all that there is to find
            return error
        finding.first = error
        return finding
    error.message += "; asked once more, it answers"
    return error


def board_behind(target: Target) -> BoardTarget | None:
    """The board that a target is, or has acquired; None where it is an emulator, or nothing is acquired yet."""
    if isinstance(target, LabgridTarget):
        return target.board
    return target if isinstance(target, BoardTarget) else None
