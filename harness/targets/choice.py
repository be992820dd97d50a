"""Which target a person chose, by the options that the command line and the pytest plugin share."""

from __future__ import annotations

from dataclasses import dataclass

from harness.errors import UsageError
from harness.targets.boards import DEFAULT_BOARD, board, board_names
from harness.transport.serial_port import parse_address

FLASH_POLICIES = ("if-changed", "always", "never")
"""When a board is flashed, the default first."""


@dataclass(frozen=True)
class TargetChoice:
    """A target, and if it is a board: which one and how.

    Attributes:
        kind: qemu, native, renode or board.
        is_default: whether nobody asked for it.
        board: name of the board.
        port: its port as it was given; None: to be found.
        serial_number: of its probe; None: whichever is there.
        flash: one of FLASH_POLICIES.
    """

    kind: str
    is_default: bool = False
    board: str = ""
    port: str | None = None
    serial_number: str | None = None
    flash: str = FLASH_POLICIES[0]

    @property
    def name(self) -> str:
        """The kind, or a board's name."""
        return self.board or self.kind

    def __str__(self) -> str:
        """`qemu (default)`, `board nucleo_f446re, port /dev/ttyACM0`."""
        parts = [f"{self.kind} {self.board}" if self.board else self.kind]
        parts += [f"port {self.port}"] if self.port else []
        parts += [f"serial number {self.serial_number}"] if self.serial_number else []
        return ", ".join(parts) + (" (default)" if self.is_default else "")


def chosen_target(
    *,
    qemu: bool = False,
    native: bool = False,
    renode: bool = False,
    board_name: str | None = None,
    port: str | None = None,
    serial_number: str | None = None,
    flash: str | None = None,
    no_flash: bool = False,
) -> TargetChoice:
    """The target that these options mean; QEMU if none is given.

    Raises:
        UsageError: two targets, an unknown board, or options that do not go together.
    """
    board_options = {"--board": board_name, "--port": port, "--sn": serial_number}
    board_option = next((option for option, value in board_options.items() if value is not None), None)
    without_board = {"qemu": qemu, "native": native, "renode": renode}
    asked = [
        *(f"--{kind}" for kind, is_asked in without_board.items() if is_asked),
        *([board_option] if board_option else []),
    ]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} were both given", remedy="choose one target")
    if board_option is None:
        if flash is not None or no_flash:
            raise UsageError(
                f"{'--no-flash' if no_flash else '--flash'} is for boards",
                remedy=f"name one: --board {board_names()[0]}",
            )
        return TargetChoice(asked[0].removeprefix("--")) if asked else TargetChoice("qemu", is_default=True)
    name = DEFAULT_BOARD if board_name is None else board_name
    board(name)
    parse_address(port)
    return TargetChoice("board", False, name, port, serial_number, _flash_policy(flash, no_flash))


def _flash_policy(flash: str | None, no_flash: bool) -> str:
    if flash is not None and flash not in FLASH_POLICIES:
        raise UsageError(f"--flash is {flash}", remedy=f"choose one of {', '.join(FLASH_POLICIES)}")
    if no_flash and flash not in (None, "never"):
        raise UsageError(f"--no-flash and --flash {flash} were both given", remedy="choose one")
    return "never" if no_flash else flash or FLASH_POLICIES[0]
