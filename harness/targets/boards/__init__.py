"""The boards that there are, as data: a file per board, named after it."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

from harness.errors import UsageError
from harness.transport.ports import PortInfo

DEFAULT_BOARD = "nucleo_f446re"
"""What a port without a board's name means."""


@dataclass(frozen=True)
class Board:
    """What the harness must know of a board.

    Attributes:
        name: on the command line.
        description: for people.
        platformio_environment: section of platformio.ini that builds and flashes for it.
        chip: name of its chip.
        pyocd_chip: pyOCD's name of it.
        device_id: the chip's kind, the lower 12 bits of DBGMCU_IDCODE.
        vendor_id: USB vendor of its probe, whose serial port is the board's.
        product_ids: USB products, the usual one first.
        volume: label of the volume that its probe mounts.
        flash_bytes: size of the chip's flash.
        sram_bytes: size of the chip's SRAM.
        sysclk_hz: the system clock that the firmware sets up.
        uart_clock_hz: what it gives the USART.
        flash_wait_states: cycles that a line of flash takes beyond the first, at this clock.
        baud: that the firmware's port boots with.
        link_baud: that it goes on with over its probe, unless somebody asks for another one.
    """

    name: str
    description: str
    platformio_environment: str
    chip: str
    pyocd_chip: str
    device_id: int
    vendor_id: int
    product_ids: tuple[int, ...]
    volume: str
    flash_bytes: int
    sram_bytes: int
    sysclk_hz: int
    uart_clock_hz: int
    flash_wait_states: int
    baud: int
    link_baud: int

    @property
    def usb_ids(self) -> tuple[str, ...]:
        """`0483:374B` and the others."""
        return tuple(f"{self.vendor_id:04X}:{product:04X}" for product in self.product_ids)

    def may_be_at(self, port: PortInfo) -> bool:
        """Whether a port is that of such a probe: of another board's with the same ids only its volume tells."""
        if port.usb_id not in self.usb_ids:
            return False
        volumes = {board(name).volume for name in board_names()}
        return port.volume not in volumes or port.volume == self.volume


def board_names() -> tuple[str, ...]:
    """All boards, by name."""
    return tuple(sorted(path.stem for path in _folder().glob("*.toml")))


@cache
def board(name: str) -> Board:
    """A board by its name.

    Raises:
        UsageError: there is none of that name.
    """
    if name not in board_names():
        raise UsageError(
            f"there is no board {name}", code="unknown_board", remedy=f"known boards: {', '.join(board_names())}"
        )
    data = tomllib.loads((_folder() / f"{name}.toml").read_text(encoding="utf-8"))
    return Board(
        name=data["name"],
        description=data["description"],
        platformio_environment=data["platformio_environment"],
        chip=data["chip"]["name"],
        pyocd_chip=data["chip"]["pyocd"],
        device_id=data["chip"]["device_id"],
        vendor_id=data["usb"]["vendor_id"],
        product_ids=tuple(data["usb"]["product_ids"]),
        volume=data["usb"]["volume"],
        flash_bytes=data["memory"]["flash_bytes"],
        sram_bytes=data["memory"]["sram_bytes"],
        sysclk_hz=data["clock"]["sysclk_hz"],
        uart_clock_hz=data["clock"]["uart_clock_hz"],
        flash_wait_states=data["clock"]["flash_wait_states"],
        baud=data["serial"]["baud"],
        link_baud=data["serial"]["link_baud"],
    )


def boards_with(device_id: int) -> tuple[Board, ...]:
    """The boards whose chip has this device id."""
    return tuple(found for found in map(board, board_names()) if found.device_id == device_id)


def _folder() -> Path:
    return Path(__file__).parent
