"""Chips by the DEV_ID in bits 11:0 of their DBGMCU_IDCODE."""

from __future__ import annotations

_CHIPS = {
    0x411: "STM32F2",
    0x413: "STM32F405/407/415/417",
    0x419: "STM32F42x/43x",
    0x421: "STM32F446",
    0x423: "STM32F401xB/C",
    0x431: "STM32F411",
    0x433: "STM32F401xD/E",
    0x434: "STM32F469/479",
    0x441: "STM32F412",
    0x449: "STM32F74x/75x",
    0x451: "STM32F76x/77x",
    0x458: "STM32F410",
    0x463: "STM32F413/423",
}
"""Source: AN2606, STM32 microcontroller system memory boot mode, and the debug chapters of the reference manuals."""


def device_id(idcode: int) -> int:
    """The chip's kind, without its revision."""
    return idcode & 0xFFF


def chip_named(number: int) -> str:
    """`0x431 (STM32F411)`."""
    name = _CHIPS.get(number)
    return f"0x{number:03X}" + (f" ({name})" if name else "")
