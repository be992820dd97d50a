"""`hil doctor`: what is wrong with a rig, by name, with what to do."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.files import PerModel
from harness.cli.options import say, takes_target
from harness.findings.writing import writing
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
"""The tools without which a kind of target does not run: a board, only if it may have to be flashed. What native needs
is told by its start."""


@takes_target
def doctor_command(
    targets: Sequence[TargetChoice],
    json_option: Annotated[
        str | None, typer.Option("--json", metavar="F", help="The record as JSON; a folder gets doctor.json.")
    ] = None,
) -> int:
    """Look for what is wrong with this machine and a target: each finding with its id and what to do.

    Nothing is flashed: --flash never says that no tool for it is needed here.
    """
    name = Path("doctor")
    json_path = PerModel("--json", json_option, ".json", [name]).writable().of(name)

    from harness.doctor.outcomes import Examination

    named = "; ".join(map(str, targets))
    sys.stdout.write(f"target  {named}\n")
    examination = Examination(named.removesuffix(" (default)"), tell=_print)
    _check_machine(examination, targets[0])
    for target in targets:
        if len(targets) > 1:
            sys.stdout.write(f"{target}\n")
            examination.board = str(target)
        (_check_board if target.kind == "board" else _check_start)(examination, target)
    if targets[0].is_default:
        _check_board_if_there(examination)
    if json_path is not None:
        from harness.report.record import write_record

        with writing(json_path):
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

    from harness.build.paths import project_root
    from harness.doctor.machine import check_folder

    examination.check("disk", lambda: check_folder(project_root() / ".hil", "what is built, and the oracle's cache"))
    examination.check("temporary", lambda: check_folder(Path(tempfile.gettempdir()), "temporary files"))
    for name, look in _tool_checks().items():
        needs = [kind for kind, tools in _TOOLS_OF.items() if name in tools]
        if target.kind in needs and (target.kind != "board" or _may_be_flashed(target)):
            examination.check(name, look)
        else:
            _check_optional(examination, name, look, needs)


def _may_be_flashed(target: TargetChoice) -> bool:
    """Whether a run could want to: a port that was named may have no probe, and a lab's has none."""
    return target.flash != "never" and target.port is None and target.labgrid_place is None


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


def _check_board(examination: Examination, choice: TargetChoice) -> None:
    from harness.doctor.board import BoardRig, check_board
    from harness.doctor.outcomes import NotChecked
    from harness.targets.boards import board
    from harness.targets.identity import DEVICE_ID_MASK, check_chip, check_program
    from harness.targets.place import Place
    from harness.transport.serial_port import SerialPort
    from harness.transport.usb import usb_devices
    from harness.workbench import ChipProgram, board_behind, locate, make_target

    target, named = make_target(choice, say), board(choice.board)
    places: list[Place] = []
    wanted_bauds: list[int] = []

    def port() -> str:
        target.reserve()
        reserved = board_behind(target)
        assert reserved is not None
        places.append(reserved.place())
        wanted_bauds.append(reserved.wanted_baud(places[0]))
        return str(places[0]) if choice.port is None else f"{places[0]}, as given"  # whether it is there, `open` tells

    def check_identity(hello: HelloReply) -> None:
        check_chip(named, hello.idcode & DEVICE_ID_MASK, places[0])
        check_program(named, hello.board, places[0])

    def no_link() -> str:
        raise NotChecked("there is no port to look at")

    try:
        if not examination.check("port", port):
            examination.check("link", no_link)
            return
        rig = BoardRig(
            url=places[0].url,
            baud=places[0].baud,
            wanted_baud=wanted_bauds[0],
            has_probe=places[0].has_probe,
            serial_number=places[0].serial_number,
            check_identity=check_identity,
            usb=usb_devices,
            our_build=lambda: ChipProgram(say, named.platformio_environment).build_id(may_build=False),
            locate=locate,
            open_line=SerialPort,
            clock=time.monotonic,
        )
        check_board(examination, rig)
    finally:
        target.release()
