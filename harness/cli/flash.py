"""`hil flash`: our firmware onto boards, and the handshake as the proof that it is there."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from harness.cli.options import say, takes_boards
from harness.errors import HilError, UsageError
from harness.targets.choice import TargetChoice
from harness.workbench import FLASH_TOOLS


@takes_boards
def flash_command(
    targets: Sequence[TargetChoice],
    tool: Annotated[
        str, typer.Option("--tool", metavar="|".join(FLASH_TOOLS), help="What writes: OpenOCD by PlatformIO, or pyOCD.")
    ] = FLASH_TOOLS[0],
) -> int:
    """Flash boards whose firmware is not ours, and ask them what runs there; --flash always, or never: only ask."""
    if tool not in FLASH_TOOLS:
        raise UsageError(f"--tool is {tool}", remedy=f"choose one of {', '.join(FLASH_TOOLS)}")
    if tool == "pyocd":
        from harness.build.pyocd import program

        program()  # before anything is built for it

    from harness.cli.exit_codes import worst_exit_code
    from harness.errors import ExitCode
    from harness.report.terminal import make_console, print_error

    console = make_console()
    codes = []
    for target in targets:
        sys.stdout.write(f"target  {target}\n")
        try:
            line = _flashed(target, tool)
            codes.append(ExitCode.PASS)
        except HilError as error:
            print_error(console, error)
            line = f"ERROR {target}: {error.code}"
            codes.append(error.exit_code)
        sys.stdout.write(f"{line} (exit {int(codes[-1])})\n")
        sys.stdout.flush()
    return worst_exit_code(codes)


def _flashed(choice: TargetChoice, tool: str) -> str:
    """Flash a board if that is due, and greet it; what came of it.

    Raises:
        HilError: it is not there, could not be flashed, or does not answer with our firmware.
    """
    from harness.findings import found
    from harness.workbench import Workbench, board_behind, make_target

    target = make_target(choice, say, tool=tool)
    board = board_behind(target)
    assert board is not None
    if choice.flash != "never" and not board.place().has_probe:
        raise found("port_cannot_flash", port=board.place().url)
    with Workbench(target) as bench:
        theirs = bench.device().info.build_id
        place = board.place()
        flashed = board.description()["flashed"]
    ours = _our_build(choice)
    if theirs != ours:
        raise found("other_build", theirs=theirs.hex()[:12], ours=ours.hex()[:12])
    if flashed:
        return f"FLASHED {choice.name} at {place}: build {theirs.hex()[:12]} answers"
    return f"UNCHANGED {choice.name} at {place}: build {theirs.hex()[:12]}, which is ours, was there already"


def _our_build(choice: TargetChoice) -> bytes:
    from harness.targets.boards import board
    from harness.workbench import ChipProgram

    build_id = ChipProgram(say, board(choice.board).platformio_environment).build_id(may_build=True)
    assert build_id is not None
    return build_id
