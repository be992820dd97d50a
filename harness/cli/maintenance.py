"""`hil setup` and `hil test`: the project's own upkeep."""

from __future__ import annotations

from typing import Annotated

import typer

from harness.cli.options import all_parts, ready_target, say


def setup_command(
    dev: Annotated[bool, typer.Option("--dev", help="Also what the project's own checks need.")] = False,
) -> int:
    """Install what is missing and build the firmware for every target."""
    from harness.bootstrap.system import ensure_system_parts
    from harness.workbench import TARGET_KINDS

    # The launcher has made .venv already, with or without the tools of --dev.
    ensure_system_parts(all_parts(), say)
    for kind in TARGET_KINDS:
        ready_target(kind)
        say(f"{kind}: ready")
    say("set up; next: `./hil demo`" + ("" if not dev else ", `./hil test`"))
    return 0


def run_tests_command(
    tasks: Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="format, lint, types, tests.")] = None,
) -> int:
    """Run the project's own checks: all whose tools are there, with a list of what was left out."""
    from harness.bootstrap.system import ensure_system_parts
    from harness.errors import TargetUnavailable
    from harness.tasks import exit_code, run_tasks

    try:
        ensure_system_parts(all_parts(), say)
    except TargetUnavailable as error:
        say(f"{error.message}\nTests that need them are left out. {error.remedy}")
    return exit_code(run_tasks(tasks or (), say))
