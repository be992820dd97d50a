"""`hil list`: the serial ports and the targets of this machine, and what stands in the way of each."""

from __future__ import annotations

import os
import shutil
import sys
from typing import Annotated, Any

import typer

from harness.cli.options import PROGRAMS


def list_command(
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """List serial ports and targets, each with the reason where it cannot be used. Opens no port."""
    from json import dumps

    listing = {"ports": _ports(), "targets": _targets()}
    if json:
        sys.stdout.write(dumps(listing, indent=2) + "\n")
        return 0
    sys.stdout.write("ports\n")
    for port in listing["ports"]:
        known = (
            port["usb_id"],
            port["serial_number"] and f"serial number {port['serial_number']}",
            port["description"],
        )
        use = f"in use by {', '.join(port['in_use_by'])}" if port["in_use_by"] else port["problem"] or "free"
        could = f"could be {', '.join(port['may_be'])}; " if port["may_be"] else ""
        sys.stdout.write(f"  {port['device']:<20} {', '.join(filter(None, known)) or 'not on USB'}; {could}{use}\n")
    if not listing["ports"]:
        sys.stdout.write("  none\n")
    sys.stdout.write("targets\n")
    for target in listing["targets"]:
        state = "available" if target["available"] else f"not available: {target['reason']}"
        sys.stdout.write(f"  {target['option']:<23} {state}\n")
        if target["remedy"]:
            sys.stdout.write(f"  {'':<23} what to do: {target['remedy']}\n")
    return 0


def _ports() -> list[dict[str, Any]]:
    from harness.targets.boards import board, board_names
    from harness.transport.ports import holders, serial_ports

    return [
        {
            "device": port.device,
            "usb_id": port.usb_id or None,
            "serial_number": port.serial_number,
            "description": port.description,
            "may_be": [name for name in board_names() if board(name).may_be_at(port)],
            "in_use_by": list(holders(port.device)),
            "problem": _problem(port.device),
        }
        for port in serial_ports()
    ]


def _problem(device: str) -> str | None:
    # A name like COM4 is no file, and there only opening it would tell.
    from harness.transport.rights import how_to_open, may_use

    if os.path.exists(device) and not may_use(device):
        return f"this user may not open it: {how_to_open(device)}"
    return None


def _targets() -> list[dict[str, Any]]:
    from harness.targets.boards import board_names
    from harness.targets.choice import TargetChoice
    from harness.workbench import make_target

    targets = []
    for kind in ("qemu", "native"):
        missing = [program for program in PROGRAMS[kind] if shutil.which(program) is None]
        reason = f"{' and '.join(missing)} not on the PATH" if missing else None
        targets.append(_target(f"--{kind}", kind, kind, reason, "run `hil setup`" if missing else None))
    targets.append(_target("--renode", "renode", "renode", *_renode_problem()))
    for name in board_names():
        error = make_target(TargetChoice("board", board=name), lambda _: None).unavailable()
        reason, remedy = (None, None) if error is None else (error.message, error.remedy)
        targets.append(_target(f"--board {name}", "board", name, reason, remedy))
    return targets


def _renode_problem() -> tuple[str | None, str | None]:
    """What stands in its way, and what to do."""
    from harness.errors import TargetUnavailable
    from harness.renode.find import find_renode

    try:
        find_renode()
    except TargetUnavailable as error:
        return error.message, error.remedy
    missing = [program for program in PROGRAMS["renode"] if shutil.which(program) is None]
    return (f"{' and '.join(missing)} not on the PATH", "run `hil setup`") if missing else (None, None)


def _target(option: str, kind: str, name: str, reason: str | None, remedy: str | None) -> dict[str, Any]:
    return {
        "option": option,
        "kind": kind,
        "name": name,
        "available": reason is None,
        "reason": reason,
        "remedy": remedy,
    }
