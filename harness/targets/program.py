"""Our firmware, as far as a board target has to do with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from harness.transport.base import Transport


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
