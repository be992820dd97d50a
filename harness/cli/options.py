"""Options that several commands share, and what they mean."""

from __future__ import annotations

import inspect
import shutil
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from harness.bootstrap.system import ensure_system_parts, missing_parts
from harness.build.platformio import firmware_elf
from harness.errors import BuildFailed, UsageError
from harness.renode.find import find_renode
from harness.targets.base import Target
from harness.targets.boards import DEFAULT_BOARD
from harness.targets.choice import FLASH_POLICIES, TargetChoice, chosen_targets, one_target
from harness.transport.recording import Recording
from harness.workbench import make_target

Made = TypeVar("Made")

_ARM_PARTS = ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi")
_ARM_PROGRAMS = ("arm-none-eabi-gcc",)
_PARTS = {
    "qemu": (*_ARM_PARTS, "qemu-system-arm"),
    "native": ("gcc", "libc6-dev"),
    "renode": _ARM_PARTS,  # and Renode itself, which no package manager has
    "board": (),  # nothing is installed before a board is known to be there; PlatformIO brings what flashing needs
}
PROGRAMS: dict[str, tuple[str, ...]] = {
    "qemu": (*_ARM_PROGRAMS, "qemu-system-arm"),
    "native": ("gcc",),
    "renode": _ARM_PROGRAMS,
    "board": (),
}
"""What must be on the PATH for each kind of target."""


def _target_options(
    qemu: Annotated[bool, typer.Option("--qemu", help="The firmware's ELF under QEMU (the default).")] = False,
    native: Annotated[
        bool, typer.Option("--native", help="The firmware as a process of this machine, under ASan and UBSan.")
    ] = False,
    renode: Annotated[bool, typer.Option("--renode", help="The firmware's ELF under Renode.")] = False,
    boards: Annotated[
        list[str] | None,
        typer.Option("--board", metavar="NAME", help="A board; `hil list` shows which there are. Several: see --sn."),
    ] = None,
    ports: Annotated[
        list[str] | None,
        typer.Option("--port", metavar="URL", help="The board's port, as pyserial names it. Default: found on USB."),
    ] = None,
    serial_numbers: Annotated[
        list[str] | None,
        typer.Option(
            "--sn",
            metavar="SERIAL",
            help="The board's USB serial number; once for each board, in the order of --board.",
        ),
    ] = None,
    labgrid_places: Annotated[
        list[str] | None,
        typer.Option("--labgrid", metavar="PLACE", help="A labgrid place with the board's serial port (docs/LAB.md)."),
    ] = None,
    flash: Annotated[
        str | None,
        typer.Option(
            "--flash",
            metavar="|".join(FLASH_POLICIES),
            help="When to flash the board. Default: if-changed, where another build than ours runs there.",
        ),
    ] = None,
    no_flash: Annotated[bool, typer.Option("--no-flash", help="The same as --flash never.")] = False,
    wait_s: Annotated[
        float | None,
        typer.Option("--wait", metavar="SECONDS", help="Wait for a board that somebody else uses. Default: an error."),
    ] = None,
    baud: Annotated[
        int | None,
        typer.Option("--baud", metavar="N", help="Of a board's line. Default: 1000000 over an ST-LINK, else 115200."),
    ] = None,
) -> tuple[TargetChoice, ...]:
    return chosen_targets(
        qemu=qemu,
        native=native,
        renode=renode,
        boards=boards or (),
        ports=ports or (),
        serial_numbers=serial_numbers or (),
        labgrid_places=labgrid_places or (),
        flash=flash,
        no_flash=no_flash,
        wait_s=wait_s,
        baud=baud,
    )


def takes_target(command: Callable[..., int]) -> Callable[..., int]:
    """The same command with the options that choose a target in place of its parameter `target` or `targets`.

    `target` is one TargetChoice, and several boards are refused; `targets` is a tuple of them.
    """
    its_own = inspect.signature(command, eval_str=True).parameters
    if "targets" in its_own:
        return _with_options(command, "targets", tuple(_TARGET_OPTIONS), lambda chosen: _target_options(**chosen))
    return _with_options(
        command, "target", tuple(_TARGET_OPTIONS), lambda chosen: one_target(_target_options(**chosen))
    )


def takes_boards(command: Callable[..., int]) -> Callable[..., int]:
    """The same command with the options that choose boards in place of its parameter `targets`; a lab's are refused."""

    def boards_of(chosen: dict[str, Any]) -> tuple[TargetChoice, ...]:
        if places := chosen.pop("labgrid_places", None):
            raise UsageError(
                f"--labgrid {places[0]} lends a serial port, and nothing can be flashed through that",
                remedy="flash at the machine that has the board, by `hil flash --sn SERIAL`; "
                f"`hil info --labgrid {places[0]}` says which build runs there",
            )
        is_named = any(chosen.get(name) for name in ("boards", "ports", "serial_numbers"))
        return _target_options(**(chosen if is_named else {**chosen, "boards": [DEFAULT_BOARD]}))

    names = ("boards", "ports", "serial_numbers", "labgrid_places", "flash", "no_flash", "wait_s")
    return _with_options(command, "targets", names, boards_of)


_TARGET_OPTIONS = inspect.signature(_target_options, eval_str=True).parameters


def _with_options(
    command: Callable[..., int], replaced: str, names: tuple[str, ...], value_of: Callable[[dict[str, Any]], Any]
) -> Callable[..., int]:
    """The same command with some of the target's options in place of one parameter, which gets what they mean."""

    @wraps(command)
    def wrapped(**given: Any) -> int:
        chosen = {name: given.pop(name) for name in names if name in given}
        return command(**{replaced: value_of(chosen)}, **given)

    parameters: list[inspect.Parameter] = []
    for parameter in inspect.signature(command, eval_str=True).parameters.values():
        parameters += [_TARGET_OPTIONS[name] for name in names] if parameter.name == replaced else [parameter]
    # Typer reads a command's options from these two.
    wrapped.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    wrapped.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return wrapped


def say(text: str) -> None:
    """Tell what is going on, on standard error: standard output is the result's."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def ready_target(
    choice: TargetChoice, recording: Recording | None = None, *, counts_instructions: bool = False
) -> Target:
    """A target with its system parts installed and its firmware built; both only where they are missing.

    Args:
        choice: which one.
        recording: see `make_target`.
        counts_instructions: see `make_target`.

    Raises:
        TargetUnavailable: parts are missing and cannot be installed here, with the command that would.
        BuildFailed: the firmware could not be built.
    """
    if choice.kind == "renode":
        find_renode()  # before anything is installed for it

    def made() -> Target:
        return make_target(choice, say, recording, counts_instructions=counts_instructions)

    return _with_parts(_PARTS[choice.kind], PROGRAMS[choice.kind], made)


def ready_firmware(environment: str) -> Path:
    """The ELF for a board's chip, built if it is not there; errors: see `ready_target`."""
    return _with_parts(_ARM_PARTS, _ARM_PROGRAMS, lambda: firmware_elf(say, environment))


def _with_parts(parts: tuple[str, ...], programs: tuple[str, ...], make: Callable[[], Made]) -> Made:
    if any(shutil.which(program) is None for program in programs):
        ensure_system_parts(parts, say)
    try:
        return make()
    except BuildFailed:
        # The compiler answers, but a part of it may be missing, the C library for one.
        if not missing_parts(parts):
            raise
        ensure_system_parts(parts, say)
        return make()


def all_parts() -> tuple[str, ...]:
    """Every system part that any target needs."""
    return tuple(part for parts in _PARTS.values() for part in parts)
