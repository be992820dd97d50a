"""USB devices of this machine, as Linux lists them. Opens none."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SYSFS = Path("/sys/bus/usb/devices")

_PROBE_VENDORS = {
    "1366": "SEGGER J-Link",
    "0d28": "Arm DAPLink",
    "03eb": "Atmel or Microchip EDBG",
    "1fc9": "NXP LPC-Link or MCU-Link",
    "1d50": "Black Magic Probe or its like",
    "c251": "Keil ULINK",
    "15ba": "Olimex ARM-USB",
}
"""Vendors of debug probes; some make other things too, so the device's own name is always shown beside it."""

_ST = "0483"

_ST_DEVICES = {
    "3744": "ST-LINK/V1",
    "3748": "ST-LINK/V2, which has no serial port",
    "374a": "ST-LINK/V2-1",
    "374b": "ST-LINK/V2-1",
    "3752": "ST-LINK/V2-1",
    "374d": "STLINK-V3 waiting for new firmware",
    "374e": "STLINK-V3",
    "374f": "STLINK-V3",
    "3753": "STLINK-V3",
    "3754": "STLINK-V3",
    "df11": "an STM32 in its USB boot loader (BOOT0 is high)",
}
"""Source: pyOCD, pyocd/probe/stlink/usb.py; df11 is ST's DFU device (AN3156)."""


@dataclass(frozen=True)
class UsbDevice:
    """A USB device.

    Attributes:
        vendor: four hexadecimal digits, lower case.
        product: likewise.
        serial_number: empty where it has none.
        name: what it calls itself.
        node: its file in /dev/bus/usb, which a debugger opens.
    """

    vendor: str
    product: str
    serial_number: str
    name: str
    node: Path

    @property
    def usb_id(self) -> str:
        """`0483:374b`."""
        return f"{self.vendor}:{self.product}"

    @property
    def kind(self) -> str:
        """What it is to a person who looks for a board; empty for a mouse."""
        return (_ST_DEVICES if self.vendor == _ST else {}).get(self.product) or _PROBE_VENDORS.get(self.vendor, "")

    def __str__(self) -> str:
        """`0483:3748 ST-LINK/V2, which has no serial port, serial number 0669FF01`."""
        named = f" {self.kind or self.name}".rstrip()
        number = f", serial number {self.serial_number}" if self.serial_number else ""
        return self.usb_id.upper() + named + number


def usb_devices(sysfs: Path | None = None, dev: Path = Path("/dev/bus/usb")) -> tuple[UsbDevice, ...]:
    """All of them but hubs, by their place; none where there is no sysfs."""
    sysfs = sysfs or SYSFS
    found = []
    for folder in sorted(sysfs.glob("*")) if sysfs.is_dir() else ():
        vendor, product = _read(folder / "idVendor"), _read(folder / "idProduct")
        if not vendor or _read(folder / "bDeviceClass") == "09":  # an interface, or a hub
            continue
        bus, number = _read(folder / "busnum"), _read(folder / "devnum")
        node = dev / bus.zfill(3) / number.zfill(3)
        found.append(UsbDevice(vendor, product, _read(folder / "serial"), _read(folder / "product"), node))
    return tuple(found)


def probes(sysfs: Path | None = None) -> tuple[UsbDevice, ...]:
    """Those that may be debug probes, or a chip in its boot loader."""
    return tuple(device for device in usb_devices(sysfs) if device.kind)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""
