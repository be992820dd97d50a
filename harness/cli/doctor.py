"""`hil doctor`: what is wrong with a rig, by name, with what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import PerModel
from harness.cli.options import say, takes_target
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.doctor.machine import Tool
    from harness.doctor.outcomes import Examination, Outcome
    from harness.protocol.messages import HelloReply

_TOOLS_OF = {
    "qemu": ("arm-gcc", "platformio", "qemu"),
    "native": (),
    "renode": ("arm-gcc", "platformio", "renode"),
    "board": ("arm-gcc", "platformio", "openocd"),
}
"""The tools without which a kind of target does not run; what native needs is told by its start."""


@takes_target
def doctor_command(
    target: TargetChoice,
    json_option: Annotated[
        str | None, typer.Option("--json", metavar="F", help="The record as JSON; a folder gets doctor.json.")
    ] = None,
) -> int:
    """Look for what is wrong with this machine and a target: each finding with its id and what to do."""
    name = Path("doctor")
    json_path = PerModel("--json", json_option, ".json", [name]).writable().of(name)

    from harness.doctor.outcomes import Examination

    sys.stdout.write(f"target  {target}\n")
    examination = Examination(str(target).removesuffix(" (default)"), tell=_print)
    _check_machine(examination, target)
    if target.kind == "board":
        _check_board(examination, target)
    else:
        _check_start(examination, target)
    if target.is_default:
        _check_board_if_there(examination)
    if json_path is not None:
        from harness.report.record import write_record

        write_record(examination.to_json(), json_path)
        sys.stdout.write(f"written {json_path}\n")
    sys.stdout.write(f"{examination.verdict_line}\n")
    return int(examination.exit_code)


def _print(outcome: Outcome) -> None:
    from harness.doctor.outcomes import lines_of

    sys.stdout.write("".join(f"{line}\n" for line in lines_of(outcome)))
    sys.stdout.flush()


def _check_machine(examination: Examination, target: TargetChoice) -> None:
    import tempfile

    from harness.build.paths import work_dir
    from harness.doctor.machine import check_folder

    examination.check("disk", lambda: check_folder(work_dir(), "what is built, and the oracle's cache"))
    examination.check("temporary", lambda: check_folder(Path(tempfile.gettempdir()), "temporary files"))
    for name, look in _tool_checks().items():
        needs = [kind for kind, tools in _TOOLS_OF.items() if name in tools]
        if target.kind in needs and not (name == "openocd" and target.flash == "never"):
            examination.check(name, look)
        else:
            _check_optional(examination, name, look, needs)


def _check_optional(examination: Examination, name: str, look: Callable[[], str], needs: list[str]) -> None:
    from harness.doctor.machine import needed_only

    options = " and ".join(f"--{kind}" for kind in needs) or "`hil flash --tool pyocd`"
    examination.check(name, lambda: needed_only(look, options))


def _tool_checks() -> dict[str, Callable[[], str]]:
    from harness.doctor import machine

    def on_path(tool: Tool) -> Callable[[], str]:
        return lambda: machine.check_tool(tool)

    return {
        "arm-gcc": on_path(machine.GCC),
        "platformio": machine.check_platformio,
        "qemu": on_path(machine.QEMU),
        "renode": _check_renode,
        "openocd": _check_openocd,
        "pyocd": _check_pyocd,
    }


def _check_renode() -> str:
    from harness.doctor.machine import RENODE, check_tool
    from harness.renode.find import find_renode

    return check_tool(RENODE, find_renode())


def _check_openocd() -> str:
    from harness.build.upload import openocd
    from harness.doctor.machine import OPENOCD, check_tool
    from harness.doctor.outcomes import NotChecked

    program = openocd()
    if program is None:
        raise NotChecked("PlatformIO fetches its own when it flashes for the first time")
    return check_tool(OPENOCD, program)


def _check_pyocd() -> str:
    from harness.build.pyocd import program
    from harness.doctor.machine import PYOCD, check_tool

    return check_tool(PYOCD, program())


def _check_start(examination: Examination, target: TargetChoice) -> None:
    def start() -> str:
        from harness.doctor.outcomes import NotChecked
        from harness.workbench import Workbench, make_target

        missing = [o.check for o in examination.outcomes if o.check in _TOOLS_OF[target.kind] and o.error is not None]
        if missing:
            raise NotChecked(f"see {' and '.join(missing)} above")
        with Workbench(make_target(target, say)) as workbench:
            hello = workbench.device().info
        return f"the firmware starts and answers: build {hello.build_id.hex()[:12]}"

    examination.check(target.kind if target.kind == "native" else f"{target.kind} run", start)


def _check_board_if_there(examination: Examination) -> None:
    """Nobody asked for a board: one that is plugged in is looked at all the same, one that is not is no finding."""
    from harness.doctor.outcomes import NotChecked
    from harness.targets.boards import DEFAULT_BOARD
    from harness.workbench import make_target

    choice = TargetChoice("board", board=DEFAULT_BOARD)
    reason = make_target(choice, say).unavailable()
    if reason is None:
        _check_board(examination, choice)
        return

    def not_there() -> str:
        raise NotChecked(f"{reason.message}; choose one with --board, --sn or --port")

    examination.check("port", not_there)


def _check_board(examination: Examination, target: TargetChoice) -> None:
    from harness.doctor.board import BoardRig, check_board
    from harness.targets.board import BoardTarget, Place
    from harness.targets.boards import board
    from harness.targets.identity import check_chip, check_program
    from harness.transport.serial_port import SerialPort
    from harness.transport.usb import usb_devices
    from harness.workbench import ChipProgram, locate, make_target

    made = make_target(target, say)
    assert isinstance(made, BoardTarget)
    places: list[Place] = []

    def port() -> str:
        places.append(made.place())
        made.reserve()
        return str(places[0])

    def check_identity(hello: HelloReply) -> None:
        check_chip(board(target.board), hello.idcode & 0xFFF, places[0])
        check_program(board(target.board), hello.board, places[0])

    examination.check("port", port)
    try:
        if places:
            place = places[0]
            rig = BoardRig(
                url=place.url,
                baud=place.baud,
                has_probe=place.has_probe,
                serial_number=place.serial_number,
                check_identity=check_identity,
                usb=usb_devices,
                our_build=lambda: ChipProgram(say, board(target.board).platformio_environment).build_id(
                    may_build=False
                ),
                locate=locate,
                open_line=SerialPort,
                clock=time.monotonic,
            )
            check_board(examination, rig)
    finally:
        made.release()
