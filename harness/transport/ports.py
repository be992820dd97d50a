"""Which serial ports this machine has, and who uses them. Opens none."""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import escape, iglob


@dataclass(frozen=True)
class PortInfo:
    """A serial port of this machine.

    Attributes:
        device: its name, for opening.
        vendor_id: of its USB device; None where it is not on USB.
        product_id: likewise.
        serial_number: likewise; None too where the device has none.
        description: what it calls itself.
        volume: label of the volume that the same device mounts, in which an ST-LINK names its board; None: not known.
    """

    device: str
    vendor_id: int | None = None
    product_id: int | None = None
    serial_number: str | None = None
    description: str = ""
    volume: str | None = None

    @property
    def usb_id(self) -> str:
        """`0483:374B`, or an empty string where it is not on USB."""
        if self.vendor_id is None or self.product_id is None:
            return ""
        return f"{self.vendor_id:04X}:{self.product_id:04X}"

    def __str__(self) -> str:
        """`/dev/ttyACM0 (0483:374B, serial number 0669FF..., STM32 STLink)`."""
        number = f"serial number {self.serial_number}" if self.serial_number else ""
        known = ", ".join(part for part in (self.usb_id, number, self.description) if part)
        return f"{self.device} ({known})" if known else self.device


def serial_ports() -> tuple[PortInfo, ...]:
    """All ports that the system lists, by name."""
    from serial.tools.list_ports import comports

    found = (
        PortInfo(
            port.device,
            port.vid,
            port.pid,
            port.serial_number or None,
            _known(port.description),
            volume_of(port.serial_number) if port.serial_number else None,
        )
        for port in comports()
    )
    return tuple(sorted(found, key=lambda port: port.device))


def volume_of(serial_number: str, disks: str = "/dev/disk") -> str | None:
    """Label of the volume on a USB device with this serial number. Linux only, where udev names disks by both."""
    its_disks = {os.path.realpath(path) for path in iglob(f"{escape(disks)}/by-id/usb-*_{escape(serial_number)}-*")}
    for label in iglob(f"{escape(disks)}/by-label/*"):
        if os.path.realpath(label) in its_disks:
            return os.path.basename(label)
    return None


def is_hardware(device: str) -> bool:
    """Whether a device is a terminal of the kernel's own, and not one that a program has made. Linux only."""
    return os.path.exists(f"/sys/class/tty/{os.path.basename(os.path.realpath(device))}")


def holders(device: str) -> tuple[str, ...]:
    """Other programs that have a device open, as `minicom (pid 42)`. Linux only, and only as far as we may look."""
    real = os.path.realpath(device)
    ours = str(os.getpid())
    found = {}
    for link in iglob("/proc/[0-9]*/fd/*"):
        pid = link.split("/")[2]
        try:
            if pid != ours and os.readlink(link) == real:
                with open(f"/proc/{pid}/comm", encoding="utf-8", errors="replace") as comm:
                    found[pid] = f"{comm.read().strip()} (pid {pid})"
        except OSError:
            continue  # it ended, or is not ours to look at
    return tuple(found.values())


def _known(description: str | None) -> str:
    return "" if description in (None, "n/a") else str(description)
