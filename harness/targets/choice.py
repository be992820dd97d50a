"""Which target a person chose, by the options that the command line and the pytest plugin share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from harness.errors import UsageError
from harness.targets.boards import DEFAULT_BOARD, board
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
        wait_s: how long to wait for a board that somebody else uses.
        labgrid_place: where a lab has it, in place of a port.
        baud: of its line; None: see `BoardTarget`.
    """

    kind: str
    is_default: bool = False
    board: str = ""
    port: str | None = None
    serial_number: str | None = None
    flash: str = FLASH_POLICIES[0]
    wait_s: float = 0.0
    labgrid_place: str | None = None
    baud: int | None = None

    @property
    def name(self) -> str:
        """The kind, or a board's name."""
        return self.board or self.kind

    def __str__(self) -> str:
        """`qemu (default)`, `board nucleo_f446re, port /dev/ttyACM0`."""
        parts = [f"{self.kind} {self.board}" if self.board else self.kind]
        parts += [f"port {self.port}"] if self.port else []
        parts += [f"serial number {self.serial_number}"] if self.serial_number else []
        parts += [f"labgrid place {self.labgrid_place}"] if self.labgrid_place else []
        return ", ".join(parts) + (" (default)" if self.is_default else "")


def chosen_targets(
    *,
    qemu: bool = False,
    native: bool = False,
    renode: bool = False,
    boards: Sequence[str] = (),
    ports: Sequence[str] = (),
    serial_numbers: Sequence[str] = (),
    labgrid_places: Sequence[str] = (),
    flash: str | None = None,
    no_flash: bool = False,
    wait_s: float | None = None,
    baud: int | None = None,
) -> tuple[TargetChoice, ...]:
    """The targets that these options mean: one, or several boards; QEMU if none is given.

    Ports or serial numbers say which boards: as many boards as these, in the same order, or one name for all of them.

    Args:
        qemu: and the other kinds: whether it was asked for.
        native: likewise.
        renode: likewise.
        boards: names of boards.
        ports: of boards.
        serial_numbers: of their probes.
        labgrid_places: where a lab has them, in place of ports and serial numbers.
        flash: one of FLASH_POLICIES.
        no_flash: the same as "never".
        wait_s: how long to wait for a board that somebody else uses; None: not at all.
        baud: of the boards' lines.

    Raises:
        UsageError: two kinds of targets, an unknown board, or options that do not go together.
    """
    board_options = {"--board": boards, "--port": ports, "--sn": serial_numbers, "--labgrid": labgrid_places}
    board_option = next((option for option, values in board_options.items() if values), None)
    without_board = {"qemu": qemu, "native": native, "renode": renode}
    asked = [
        *(f"--{kind}" for kind, is_asked in without_board.items() if is_asked),
        *([board_option] if board_option else []),
    ]
    if len(asked) > 1:
        raise UsageError(f"{asked[0]} and {asked[1]} were both given", remedy="choose one kind of target")
    if board_option is None:
        idle = {"--no-flash": no_flash or None, "--flash": flash, "--wait": wait_s, "--baud": baud}
        for option, given in idle.items():
            if given is not None:
                raise UsageError(f"{option} is for boards", remedy=f"name one: --board {DEFAULT_BOARD}")
        return (TargetChoice(asked[0].removeprefix("--")) if asked else TargetChoice("qemu", is_default=True),)
    if wait_s is not None and not 0.0 <= wait_s < float("inf"):
        raise UsageError(f"--wait is {wait_s:g}", remedy="give it seconds, 0 or more")
    if baud is not None and baud <= 0:
        raise UsageError(f"--baud is {baud}", remedy="give it bits per second, for example 921600")
    for port in ports:
        in_port = parse_address(port).baud
        if baud is not None and in_port is not None and in_port != baud:
            raise UsageError(f"--baud is {baud}, and {port} has another one", remedy="give one of them")
    policy = _flash_policy(flash, no_flash)
    if labgrid_places:
        in_lab = _in_a_lab(labgrid_places, boards, [*ports, *serial_numbers], policy, wait_s or 0.0)
        return tuple(replace(choice, baud=baud) for choice in in_lab)
    return tuple(
        TargetChoice("board", False, name, port, number, policy, wait_s or 0.0, baud=baud)
        for name, port, number in _places(boards, ports, serial_numbers)
    )


def one_target(choices: Sequence[TargetChoice]) -> TargetChoice:
    """The only one of these, for what has to do with one target.

    Raises:
        UsageError: there are several.
    """
    if len(choices) > 1:
        raise UsageError(
            f"{len(choices)} boards were given, and this uses one", remedy="name one; `hil validate` uses several"
        )
    return choices[0]


def _in_a_lab(
    places: Sequence[str], boards: Sequence[str], elsewhere: Sequence[str], policy: str, wait_s: float
) -> tuple[TargetChoice, ...]:
    """The boards of labgrid places: one name for all of them, or as many."""
    if elsewhere:
        raise UsageError(
            f"--labgrid {places[0]} and {elsewhere[0]} were both given",
            remedy="leave out --port and --sn: the place names the port",
        )
    if policy == "always":
        raise UsageError(
            "--flash always and --labgrid were both given",
            remedy="leave out --flash: labgrid lends the serial port, and nothing can be flashed through that",
        )
    if "" in places or len(set(places)) < len(places):
        raise UsageError("--labgrid names no place, or the same one twice", remedy="name each place once")
    names = list(boards) or [DEFAULT_BOARD]
    if len(names) not in (1, len(places)):
        raise UsageError(
            f"{len(names)} --board and {len(places)} --labgrid do not go together",
            remedy="give one --board for all places, or as many as there are places, in the same order",
        )
    for name in names:
        board(name)
    names = names * len(places) if len(names) == 1 else names
    return tuple(
        TargetChoice("board", False, name, None, None, policy, wait_s, place)
        for name, place in zip(names, places, strict=True)
    )


def _places(
    boards: Sequence[str], ports: Sequence[str], serial_numbers: Sequence[str]
) -> list[tuple[str, str | None, str | None]]:
    """Name, port and serial number of each board."""
    if not all(number.strip() for number in serial_numbers):  # an unset variable of a shell: any board would be taken
        raise UsageError("the serial number is empty", remedy="name a probe's; `hil list` shows them")
    for option, values in (("--port", ports), ("--sn", serial_numbers)):
        if len({value.upper() for value in values}) < len(values):
            raise UsageError(f"{option} names the same board twice", remedy="name each board once")
    count = max(len(ports), len(serial_numbers)) or len(boards)
    names = list(boards) or [DEFAULT_BOARD]
    if len(names) == 1:
        names *= count
    given = {"--board": len(names), "--port": len(ports) or count, "--sn": len(serial_numbers) or count}
    if len(set(given.values())) > 1:
        raise UsageError(
            f"{len(boards)} --board, {len(ports)} --port and {len(serial_numbers)} --sn do not go together",
            remedy="give one --board for all, or as many as there are ports or serial numbers, in the same order",
        )
    if not ports and not serial_numbers and len(set(names)) < len(names):
        raise UsageError("--board names the same board twice", remedy="tell them apart by --sn; `hil list` shows them")
    for name in names:
        board(name)
    port_of: list[str | None] = [*ports] or [None] * count
    number_of: list[str | None] = [*serial_numbers] or [None] * count
    return list(zip(names, port_of, number_of, strict=True))


def _flash_policy(flash: str | None, no_flash: bool) -> str:
    if flash is not None and flash not in FLASH_POLICIES:
        raise UsageError(f"--flash is {flash}", remedy=f"choose one of {', '.join(FLASH_POLICIES)}")
    if no_flash and flash not in (None, "never"):
        raise UsageError(f"--no-flash and --flash {flash} were both given", remedy="choose one")
    return "never" if no_flash else flash or FLASH_POLICIES[0]
