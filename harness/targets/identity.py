"""Whether what answers is the board that was asked for: its chip, and what its firmware was made for."""

from __future__ import annotations

from harness.findings import found
from harness.targets.boards import Board, boards_with

_CHIPS = {
    0x411: "STM32F2",
    0x413: "STM32F405/407/415/417",
    0x419: "STM32F42x/43x",
    0x423: "STM32F401xB/C",
    0x434: "STM32F469/479",
    0x441: "STM32F412",
    0x449: "STM32F74x/75x",
    0x451: "STM32F76x/77x",
    0x458: "STM32F410",
    0x463: "STM32F413/423",
}
"""Chips of no board that we know. Source: the debug chapters of ST's reference manuals (DBGMCU_IDCODE)."""


DEVICE_ID_MASK = 0xFFF
"""Of DBGMCU_IDCODE: the chip's kind (RM0390 33.6.1)."""

REVISION_SHIFT = 16
"""Behind it: the chip's revision, as in its errata sheet."""


def chip_name(device_id: int) -> str | None:
    """The chip of a device id; None: it is not known here, or 0 where there is no chip."""
    return next((known.chip for known in boards_with(device_id)), _CHIPS.get(device_id))


def check_chip(board: Board, device_id: int, place: object) -> None:
    """The chip must be that of the board.

    Args:
        board: that was asked for.
        device_id: the chip's kind, the lower 12 bits of DBGMCU_IDCODE; 0: there is no chip, or it does not say.
        place: where it is, for the message.

    Raises:
        MismatchError: the finding that it is another one.
    """
    if device_id in (0, board.device_id):
        return
    known = boards_with(device_id)
    chip = " or ".join(other.chip for other in known) or _CHIPS.get(device_id, "not known here")
    others = " or ".join(f"--board {other.name}" for other in known)
    raise found(
        "wrong_board",
        place=place,
        board=board.name,
        actual=f"0x{device_id:03x} ({chip})",
        expected=f"0x{board.device_id:03x} ({board.chip})",
        how=f"name the board that it is: {others}" if others else "hil knows no board with that chip",
    )


def check_program(board: Board, made_for: str, place: object) -> None:
    """A program that stays must be one for the board: another has other sizes of memory, and another clock.

    Args:
        board: that was asked for.
        made_for: name of the board that the program was made for; empty: it does not say.
        place: where it is, for the message.

    Raises:
        MismatchError: the finding that it is for another one.
    """
    if made_for not in ("", board.name):
        raise found("wrong_firmware", place=place, board=board.name, made_for=made_for)
