"""`hil setup` and `hil test`: the project's own upkeep."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import all_parts, ready_target, say

DEV_PARTS = ("ser2net",)
"""What only the project's own tests need."""


def setup_command(
    dev: Annotated[bool, typer.Option("--dev", help="Also what the project's own checks need.")] = False,
) -> int:
    """Install what is missing and build the firmware for every target."""
    from harness.bootstrap.system import ensure_system_parts
    from harness.build.paths import hil_command
    from harness.targets.choice import TargetChoice
    from harness.workbench import TARGET_KINDS

    if dev:
        _refuse_outside_a_clone("--dev")
    # In a clone the launcher has made .venv already, with or without the tools of --dev; else pip has installed us.
    ensure_system_parts((*all_parts(), *(DEV_PARTS if dev else ())), say)
    for kind in TARGET_KINDS:
        ready_target(TargetChoice(kind))
        say(f"{kind}: ready")
    say(f"set up; next: `{hil_command()} demo`" + ("" if not dev else ", `./hil test`"))
    return 0


def run_tests_command(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="format, lint, types, tests.")] = None,
) -> int:
    """Run the project's own checks: all whose tools are there, with a list of what was left out."""
    from harness.bootstrap.system import ensure_system_parts
    from harness.errors import TargetUnavailable
    from harness.tasks import exit_code, run_tasks

    _refuse_outside_a_clone("hil test")
    try:
        ensure_system_parts(all_parts(), say)
    except TargetUnavailable as error:
        say(f"{error.message}\nTests that need them are left out. {error.remedy}")
    return exit_code(run_tasks(tasks or (), say))


def _refuse_outside_a_clone(what: str) -> None:
    from harness.build.paths import is_clone
    from harness.errors import UsageError

    if not is_clone():
        raise UsageError(
            f"{what} is for the project's own checks, which the installed package does not carry",
            code="not_a_clone",
            remedy="run it in a clone of the repository; your own tests run with `pytest`",
        )
