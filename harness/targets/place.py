"""Where a board is: found by the USB ids of its probe, or at a port that somebody named.

Only a port that belongs to a probe can be flashed: it tells the probe's serial number, and so one number chooses the
port and what is flashed. A port of another kind (a pseudo-terminal, a network) is used as it is.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.errors import TargetUnavailable, UsageError
from harness.findings import found
from harness.targets.boards import Board
from harness.transport.ports import PortInfo
from harness.transport.serial_port import parse_address
from harness.transport.usb import UsbDevice


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


class BoardFinder:
    """Looks for a board.

    Args:
        board: which one.
        port: pyserial's URL or ST's descriptor; None: found by its USB ids.
        serial_number: of the probe, where several boards are there.
        list_ports: gives the ports of this machine.
        list_probes: gives the probes, with and without a port.
    """

    def __init__(
        self,
        board: Board,
        port: str | None,
        serial_number: str | None,
        list_ports: Callable[[], Sequence[PortInfo]],
        list_probes: Callable[[], Sequence[UsbDevice]],
    ) -> None:
        self._board = board
        self._port = port
        self._serial_number = serial_number
        self._list_ports = list_ports
        self._list_probes = list_probes

    def find(self) -> Place:
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

    def find_again(self, place: Place) -> Place:
        """Where the board is by now: a probe that showed itself anew may have got another port.

        Raises:
            TargetUnavailable: the probe is gone.
        """
        if place.serial_number is None:
            return place
        ports = [port for port in self._list_ports() if self._board.may_be_at(port)]
        port = next((port for port in ports if _has_number(port, place.serial_number)), None)
        if port is None:
            raise TargetUnavailable(f"the probe {place.serial_number} is not on USB any more")
        return Place(port.device, place.baud, True, place.serial_number)


def _has_number(port: PortInfo | None, serial_number: str) -> bool:
    return port is not None and (port.serial_number or "").upper() == serial_number.upper()
