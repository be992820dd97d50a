"""A board at a serial port: flashed if it does not hold our firmware, and greeted before it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from harness.errors import DeviceError, HilError, LinkTimeout, MismatchError, TargetUnavailable, UsageError
from harness.findings import found
from harness.targets.base import LeftRunning
from harness.targets.boards import Board
from harness.targets.identity import check_chip, check_program
from harness.targets.lock import BoardLock, retry_while_busy
from harness.targets.place import BoardFinder, Place
from harness.targets.program import Program, Running
from harness.targets.retry import Got, retry_for
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


class BoardTarget(LeftRunning):
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
        self._finder = BoardFinder(board, port, serial_number, list_ports, list_probes)
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
        self._say(f"waiting for {place} to come back")
        return self._until_back(lambda: self._open_again(place))

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

    def place(self) -> Place:
        """Where it is, by looking.

        Raises:
            HilError: it is not there, or several are.
        """
        return self._finder.find()

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
        try:
            line, running = self._until_back(lambda: self._ask_again(place))
        except HilError as error:
            raise self._not_verified(error.message) from error
        try:
            check_chip(self._board, running.device_id, self._place)
            if running.build_id != ours:
                said = f"it announces build {running.build_id.hex()[:12]}, not {ours.hex()[:12]}"
                raise self._not_verified(said)
        except BaseException:
            line.close()
            raise
        return line

    def _until_back(self, attempt: Callable[[], Got]) -> Got:
        """Try until it succeeds: the port comes and goes until USB has settled."""
        return retry_for(_RETURN_TIMEOUT_S, attempt, pause_s=_RETRY_S, is_passing=lambda _: True)

    def _open_again(self, place: Place) -> Transport:
        self._place = self._finder.find_again(place)
        return self.open_line(self._place.url, self._place.baud)

    def _ask_again(self, place: Place) -> tuple[Transport, Running]:
        line = self._open_again(place)
        try:
            return line, self._program.running_on(line, _ASK_TIMEOUT_S)
        except BaseException:
            line.close()
            raise

    def _not_verified(self, reason: str) -> HilError:
        assert self._place is not None, "it was started"
        return found("flash_not_verified", board=self._board.name, port=self._place.url, reason=reason)
