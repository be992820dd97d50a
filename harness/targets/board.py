"""A board at a serial port: found by its USB ids, flashed if it does not hold our firmware, greeted before it is used.

Only a port that belongs to a probe can be flashed: it tells the probe's serial number, and so one number chooses the
port and what is flashed. A port of another kind (a pseudo-terminal, a network) is used as it is.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness.errors import (
    DeviceError,
    HilError,
    LinkTimeout,
    MismatchError,
    TargetUnavailable,
    UsageError,
)
from harness.findings import found
from harness.targets.boards import Board
from harness.targets.identity import check_chip, check_program
from harness.targets.lock import BoardLock, retry_while_busy
from harness.transport.base import Transport
from harness.transport.ports import PortInfo, serial_ports
from harness.transport.serial_port import SerialPort, parse_address
from harness.transport.usb import UsbDevice, probes

_ASK_TIMEOUT_S = 2.0
"""Our firmware answers within 0.1 s. A board that does not is flashed, so there is no need to be patient."""

_GREETING_TIMEOUT_S = 10.0
"""For a board that cannot be flashed: its answer may come over a network, and there is nothing else to try."""

_RETURN_TIMEOUT_S = 15.0
"""A flashed board answers within 1 s; a probe that shows itself anew to USB takes a few seconds."""

_RETRY_S = 0.25


@dataclass(frozen=True)
class Running:
    """What runs at a board's port.

    Attributes:
        build_id: of the program.
        board: that the program is made for; empty where it does not say.
        device_id: of the chip under it; 0 where there is none, as on QEMU.
    """

    build_id: bytes
    board: str = ""
    device_id: int = 0


class Program(Protocol):
    """Our firmware, as far as a board target has to do with it. Frames and compilers are not its business."""

    def build_id(self, *, may_build: bool) -> bytes | None:
        """The build id of our own ELF; None if it is not built and may not be.

        Raises:
            TargetUnavailable: it could not be built.
        """

    def running_on(self, line: Transport, timeout_s: float) -> Running:
        """Greet the device on a line; what it says of itself.

        Raises:
            LinkError, MismatchError: our firmware does not answer, or one of another protocol does.
        """

    def set_baud(self, line: Transport, baud: int) -> int:
        """Change the baud of both ends of a line; the one in force then, see `Device.set_baud`.

        Raises:
            UsageError: it cannot be.
            DeviceError: the firmware does not want it.
            LinkError: the device does not answer any more.
        """

    def upload(self, serial_number: str | None) -> None:
        """Write our ELF to the board whose probe has this serial number.

        Raises:
            FlashError: it could not be written.
        """


@dataclass(frozen=True)
class Place:
    """Where a board is.

    Attributes:
        url: its port.
        baud: to open it with: that of the boot.
        has_probe: whether the port is that of a probe.
        serial_number: of the probe; None where it has none.
    """

    url: str
    baud: int
    has_probe: bool = False
    serial_number: str | None = None

    @property
    def key(self) -> str:
        """What tells it from every other place of this machine."""
        return self.serial_number or (self.url if "://" in self.url else os.path.realpath(self.url))

    def __str__(self) -> str:
        """`/dev/ttyACM0 (serial number 0669FF...)`."""
        return f"{self.url} (serial number {self.serial_number})" if self.serial_number else self.url


class BoardTarget:
    """A board.

    Args:
        board: which one.
        program: our firmware.
        port: pyserial's URL or ST's descriptor; None: found by its USB ids.
        serial_number: of the probe, where several boards are there.
        flash: "if-changed", "always" (once) or "never".
        baud: of the line; None: the one in `port`, else the board's.
        wait_s: how long to wait for it while somebody else uses it.
        say: told what takes time.
        list_ports: gives the ports of this machine; tests bring their own.
        list_probes: gives the probes, with and without a port; likewise.
        open_line: opens a port; likewise.

    Attributes:
        open_line: the same, for who looks at a board that does not answer.
    """

    kind = "board"

    def __init__(
        self,
        board: Board,
        program: Program,
        *,
        port: str | None = None,
        serial_number: str | None = None,
        flash: str = "if-changed",
        baud: int | None = None,
        wait_s: float = 0.0,
        say: Callable[[str], None] = lambda _: None,
        list_ports: Callable[[], Sequence[PortInfo]] = serial_ports,
        list_probes: Callable[[], Sequence[UsbDevice]] = probes,
        open_line: Callable[[str, int], Transport] = SerialPort,
    ) -> None:
        self._board = board
        self._program = program
        self._port = port
        self._serial_number = serial_number
        self._flash = flash
        self._baud = baud
        self._wait_s = wait_s
        self._say = say
        self._list_ports = list_ports
        self._list_probes = list_probes
        self.open_line = open_line
        self._place: Place | None = None
        self._lock: BoardLock | None = None
        self._flashed: bool | None = None
        self._notes: list[str] = []

    def unavailable(self) -> HilError | None:
        """Why there is no such board, or None."""
        try:
            self.place()
        except HilError as error:
            return error
        return None

    def reserve(self, wait_s: float | None = None) -> None:
        """Hold the board's lock: by its probe's serial number, since its port may change, else by its port."""
        if self._lock is None:
            place = self.place()
            lock = BoardLock(place.key, f"{self._board.name} at {place}")
            retry_while_busy(lock.take, self._wait_s if wait_s is None else wait_s, self._say)
            self._lock = lock
            self._place = place

    def release(self) -> None:
        """Give the lock back."""
        if self._lock is not None:
            self._lock.give_back()
            self._lock = None

    def start(self) -> Transport:
        """Open the board's port, with our firmware on the board."""
        self.reserve()
        place = self.place()
        if self._flash == "always" and not place.has_probe:
            raise found("port_cannot_flash", port=place.url)
        self._place = place
        line = self.open_line(place.url, place.baud)
        try:
            line = self._with_firmware(line, place)
            self._set_baud(line)
        except BaseException:
            line.close()
            raise
        return line

    def _set_baud(self, line: Transport) -> None:
        """Go on at the baud that was asked for, or at the board's where its own probe carries the line."""
        assert self._place is not None, "it was started"
        wanted = self.wanted_baud(self._place)
        if wanted == self._board.baud:
            return
        try:
            got = self._program.set_baud(line, wanted)
        except (UsageError, DeviceError) as error:
            if self._asked_baud():
                raise
            self._notes.append(f"the line stays at {self._board.baud} baud: {error.message}")
            return
        if got != wanted:
            self._notes.append(f"the line stays at {got} baud: nothing came back at {wanted}")

    def wanted_baud(self, place: Place) -> int:
        """With which a run goes on once the board has answered: as asked for, else the one of its own probe."""
        return self._asked_baud() or (self._board.link_baud if place.has_probe else self._board.baud)

    def _asked_baud(self) -> int | None:
        return self._baud or parse_address(self._port).baud

    def reopen(self) -> Transport:
        """The board's port again, once a cable that was pulled is back; the probe may have got another port by then."""
        assert self._place is not None, "it was started"
        place = self._place
        deadline_s = time.monotonic() + _RETURN_TIMEOUT_S
        self._say(f"waiting for {place} to come back")
        while True:
            try:
                self._place = place = self._again(place)
                return self.open_line(place.url, place.baud)
            except HilError:
                if time.monotonic() >= deadline_s:
                    raise
            time.sleep(_RETRY_S)

    def stop(self) -> None:
        """Nothing to end: the board goes on, and the port is closed with the device."""

    def description(self) -> dict[str, Any]:
        """Which board, where, and whether it was flashed: null where it did not come so far."""
        place = self._place
        return {
            "name": self._board.name,
            "port": self._port if place is None else place.url,
            "serial_number": self._serial_number if place is None else place.serial_number,
            "flashed": self._flashed,
            "notes": list(self._notes),
        }

    def notes(self) -> tuple[str, ...]:
        """What is not as it should be and still no error."""
        return tuple(self._notes)

    def preload(self, data: bytes, address: int) -> bool:  # noqa: ARG002 - as the others have it
        """The firmware writes its flash store itself."""
        return False

    def post_mortem(self) -> str | None:
        """Nobody can tell from here."""
        return None

    def log_path(self) -> None:
        """A board keeps no log."""

    def place(self) -> Place:
        """Where it is, by looking.

        Raises:
            HilError: it is not there, or several are.
        """
        address = parse_address(self._port)
        baud = self._board.baud
        if address.url is None:
            port = self._only_candidate()
            return Place(port.device, baud, True, port.serial_number)
        port_or_none = self._usb_port(address.url) if address.is_device else None
        if self._serial_number is not None and not _has_number(port_or_none, self._serial_number):
            has = "no USB serial number" if port_or_none is None else f"serial number {port_or_none.serial_number}"
            raise UsageError(
                f"--sn is {self._serial_number}, and {address.url} has {has}", remedy="leave out --port or --sn"
            )
        if port_or_none is None or not self._board.may_be_at(port_or_none):
            return Place(address.url, baud)
        return Place(address.url, baud, True, port_or_none.serial_number)

    def _only_candidate(self) -> PortInfo:
        ports = self._list_ports()
        fitting = [port for port in ports if self._board.may_be_at(port)]
        if self._serial_number is not None:
            fitting = [port for port in fitting if _has_number(port, self._serial_number)]
        if len(fitting) == 1:
            return fitting[0]
        if fitting:
            first = fitting[0]
            option = f"--sn {first.serial_number}" if first.serial_number else f"--port {first.device}"
            listed = "; ".join(map(str, fitting))
            raise found("several_boards", count=len(fitting), board=self._board.name, found=listed, option=option)
        raise found(
            "no_board",
            board=self._board.description,
            usb_ids=" or ".join(self._board.usb_ids),
            number=f" and serial number {self._serial_number}" if self._serial_number else "",
            found=self._found_instead(ports),
        )

    def _found_instead(self, ports: Sequence[PortInfo]) -> str:
        listed = "; ".join(map(str, ports)) or "no serial port at all"
        shown = {port.usb_id.lower() for port in ports}
        others = [probe for probe in self._list_probes() if probe.usb_id not in shown]
        return f"{listed}; without a serial port: {', '.join(map(str, others))}" if others else listed

    def _usb_port(self, device: str) -> PortInfo | None:
        real = os.path.realpath(device)  # udev's names in /dev/serial/by-id are links
        return next((port for port in self._list_ports() if os.path.realpath(port.device) == real), None)

    def _with_firmware(self, line: Transport, place: Place) -> Transport:
        self._notes.clear()
        if not place.has_probe or self._flash == "never":
            running = self._program.running_on(line, _GREETING_TIMEOUT_S)
            check_chip(self._board, running.device_id, place)
            check_program(self._board, running.board, place)
            self._flashed = bool(self._flashed)
            self._compare(running.build_id, place)
            return line
        ours = self._program.build_id(may_build=True)
        assert ours is not None
        there = self._running_or_none(line)
        if there is not None:
            check_chip(self._board, there.device_id, place)  # before it is flashed with the program of another board
        is_forced = self._flash == "always" and not self._flashed
        if not is_forced and there is not None and there.build_id == ours:
            self._flashed = bool(self._flashed)
            return line
        line.close()
        self._say(f"flashing {self._board.name} at {place}")
        self._program.upload(place.serial_number)
        line = self._returned(ours, place)
        self._flashed = True
        return line

    def _running_or_none(self, line: Transport) -> Running | None:
        try:
            return self._program.running_on(line, _ASK_TIMEOUT_S)
        except (LinkTimeout, MismatchError, DeviceError):
            return None  # another firmware, an old one of ours, or none

    def _compare(self, running: bytes, place: Place) -> None:
        try:
            ours = self._program.build_id(may_build=self._flash != "never")
        except TargetUnavailable as error:
            self._notes.append(f"not known whether the firmware on the board is ours: {error.message.splitlines()[0]}")
            return
        if ours is not None and ours != running:
            reason = "--flash never" if place.has_probe else f"{place.url} belongs to no probe"
            self._notes.append(
                f"the firmware on the board is another build ({running.hex()[:12]}) than ours ({ours.hex()[:12]}), "
                f"and was left there: {reason}"
            )

    def _returned(self, ours: bytes, place: Place) -> Transport:
        """The line to the flashed board, once it answers with our firmware."""
        deadline_s = time.monotonic() + _RETURN_TIMEOUT_S
        while True:
            try:
                self._place = place = self._again(place)
                line = self.open_line(place.url, place.baud)
                try:
                    running = self._program.running_on(line, _ASK_TIMEOUT_S)
                except BaseException:
                    line.close()
                    raise
                break
            except HilError as error:  # its port comes and goes until USB has settled
                if time.monotonic() >= deadline_s:
                    raise self._not_verified(place, error.message) from error
            time.sleep(_RETRY_S)
        try:
            check_chip(self._board, running.device_id, place)
            if running.build_id != ours:
                said = f"it announces build {running.build_id.hex()[:12]}, not {ours.hex()[:12]}"
                raise self._not_verified(place, said)
        except BaseException:
            line.close()
            raise
        return line

    def _again(self, place: Place) -> Place:
        """Where the board is by now: a probe that showed itself anew may have got another port."""
        if place.serial_number is None:
            return place
        ports = [port for port in self._list_ports() if self._board.may_be_at(port)]
        port = next((port for port in ports if _has_number(port, place.serial_number)), None)
        if port is None:
            raise TargetUnavailable(f"the probe {place.serial_number} is not on USB any more")
        return Place(port.device, place.baud, True, place.serial_number)

    def _not_verified(self, place: Place, reason: str) -> HilError:
        return found("flash_not_verified", board=self._board.name, port=place.url, reason=reason)


def _has_number(port: PortInfo | None, serial_number: str) -> bool:
    return port is not None and (port.serial_number or "").upper() == serial_number.upper()
