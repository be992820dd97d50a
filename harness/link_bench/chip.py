"""What the link takes on the chip: flash and RAM from the ELF, and how long a received byte can have to wait.

The USART holds one byte beside the one that is coming in, so the interrupt must have taken it within the time of one
byte, else it is lost: 1,200 cycles at 1.5 Mbaud and 180 MHz. Cycles are estimated, and on the safe side.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from harness.build.elf import linked_from, member_sizes, symbols
from harness.build.platformio import firmware_objects
from harness.cycles.disassembly import Instruction, disassemble
from harness.cycles.paths import longest_path, places_of
from harness.cycles.timing import LINE_BYTES, LINE_STALL, estimate
from harness.errors import BuildFailed
from harness.protocol.wire import MAX_BAUD

LOOP_TURNS = 3
"""An overrun beside a byte, and two bytes to send, of which one goes on to the shift register at once."""

_APB1_CYCLES = 3
"""Of APB1's clock, an access to the USART."""

_USART_OFFSETS = tuple(f"#{offset}]" for offset in range(0x400, 0x420, 4))
"""How the compiler reaches USART2's registers: from 0x40004000."""

_DATA_REGISTER = _USART_OFFSETS[1]

_ENTRY_CYCLES, _EXIT_CYCLES = 12, 12
"""Exception entry and exit with memory that answers at once (Cortex-M4 TRM 3.9); the handler uses no FPU registers."""

_LONGEST_INSTRUCTION_CYCLES = 17
"""What may be under way and is not interrupted: a multiple load of 16 FPU registers."""

_BITS_PER_BYTE = 10


@dataclass(frozen=True)
class Clocking:
    """How a chip is clocked (firmware/boards/*/chip.h).

    Attributes:
        sysclk_hz: the core's clock.
        apb1_divider: cycles of the core in one of APB1's.
        wait_states: of its flash.
    """

    sysclk_hz: int
    apb1_divider: int
    wait_states: int


F446RE = Clocking(180_000_000, 4, LINE_STALL)


@dataclass(frozen=True)
class Wait:
    """A way through code on which others wait.

    Attributes:
        instructions: on the longest way.
        estimated_cycles: of the core, wait states of flash and of the bus included.
    """

    instructions: int
    estimated_cycles: int


@dataclass(frozen=True)
class ChipLink:
    """What the link takes on the chip.

    Attributes:
        flash_bytes: code and constants, by part of the firmware.
        ram_bytes: by what it is for.
        receive_interrupt: the whole handler, with LOOP_TURNS.
        until_taken: of it what runs before the byte is taken.
        masked: the longest section with interrupts disabled.
        cycles_per_byte: at MAX_BAUD.
    """

    flash_bytes: dict[str, int]
    ram_bytes: dict[str, int]
    receive_interrupt: Wait
    until_taken: Wait
    masked: Wait
    cycles_per_byte: int

    @property
    def worst_wait_cycles(self) -> int:
        """From a byte's arrival until it is taken, estimated.

        It comes just too late for a handler that was itself held up by a masked section, and waits for the next one.
        """
        before = self.masked.estimated_cycles + self.receive_interrupt.estimated_cycles + _LONGEST_INSTRUCTION_CYCLES
        return before + self.until_taken.estimated_cycles

    def to_json(self) -> dict[str, Any]:
        """Fields and the worst wait."""
        return {**asdict(self), "worst_wait_cycles": self.worst_wait_cycles}


def chip_link(elf: Path, clocking: Clocking = F446RE, baud: int = MAX_BAUD, loop_turns: int = LOOP_TURNS) -> ChipLink:
    """What the link takes in a program for the chip.

    Args:
        elf: made by `harness.build.platformio`.
        clocking: of the chip.
        baud: that a byte comes at.
        loop_turns: how often the handler's loops go round again.

    Raises:
        BuildFailed: the ELF cannot be read.
    """
    program = disassemble(elf)
    by_name = {symbol.name: symbol for symbol in symbols(elf)}
    handler = longest_path(program, by_name["usart_interrupt"].address, backward_branches=loop_turns)
    taken = longest_path(program, by_name["usart_interrupt"].address, end=_takes_byte)
    masked = [longest_path(program, place, end=_unmasks) for place in places_of(program, "cpsid")]
    if not masked:
        raise BuildFailed(f"{elf} disables interrupts nowhere, not even to sleep", code="path_not_known")
    parts = {"framing and CRC": "lib/wire", "sessions and requests": "lib/app", "USART": "port/stm32f4/usart"}
    buffers = {"receive ring": "rx_bytes", "transmit ring": "tx_bytes"}
    app = member_sizes(elf, "app_t")
    return ChipLink(
        flash_bytes={
            name: sum(symbol.size_bytes for symbol in linked_from(elf, firmware_objects(part)))
            for name, part in parts.items()
        },
        ram_bytes={
            **{name: by_name[symbol].size_bytes for name, symbol in buffers.items()},
            "frames that are received": app["link"],
            "replies that are kept": app["replies"],
            "the rest of the session": sum(app.values()) - app["link"] - app["replies"] - app["loader"],
        },
        receive_interrupt=_wait(handler, clocking, _ENTRY_CYCLES + _EXIT_CYCLES + clocking.wait_states),
        until_taken=_wait(taken, clocking, _ENTRY_CYCLES + clocking.wait_states),
        masked=max((_wait(way, clocking, 0) for way in masked), key=lambda wait: wait.estimated_cycles),
        cycles_per_byte=clocking.sysclk_hz * _BITS_PER_BYTE // baud,
    )


def _takes_byte(instruction: Instruction) -> bool:
    """Whether it reads the data register, which makes room for the next byte."""
    return instruction.mnemonic.startswith("ldr") and instruction.operands.endswith(_DATA_REGISTER)


def _unmasks(instruction: Instruction) -> bool:
    return instruction.mnemonic == "cpsie"


def _wait(way: tuple[Instruction, ...], clocking: Clocking, beside_cycles: int) -> Wait:
    lines = {instruction.address // LINE_BYTES for instruction in way}
    of_usart = sum(instruction.operands.endswith(_USART_OFFSETS) for instruction in way)
    of_bus = of_usart * _APB1_CYCLES * clocking.apb1_divider
    return Wait(len(way), estimate([way]) + len(lines) * clocking.wait_states + of_bus + beside_cycles)


def lines_of(link: ChipLink) -> Iterable[str]:
    """What a person is told."""
    flash, ram = link.flash_bytes, link.ram_bytes
    yield f"flash   {sum(flash.values())} bytes: {', '.join(f'{name} {size}' for name, size in flash.items())}"
    yield f"RAM     {sum(ram.values())} bytes: {', '.join(f'{name} {size}' for name, size in ram.items())}"
    yield (
        f"wait    of a received byte at most {link.worst_wait_cycles} cycles (estimated) of the {link.cycles_per_byte} "
        f"that a byte takes at {MAX_BAUD} baud:"
    )
    yield (
        f"        interrupts disabled for {link.masked.instructions} instructions "
        f"({link.masked.estimated_cycles} cycles), the whole interrupt before it {link.receive_interrupt.instructions} "
        f"({link.receive_interrupt.estimated_cycles}), its own until it is taken {link.until_taken.instructions} "
        f"({link.until_taken.estimated_cycles})"
    )
