"""`hil setup` and `hil test`: the project's own upkeep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli.options import all_parts, ready_target, say

if TYPE_CHECKING:
    from harness.renode.release import Package

DEV_PARTS = ("ser2net", "clang")
"""What only the project's own tests need."""

LATER_DEV_PARTS = ("libclang-rt-dev",)
"""Comes with clang on older systems, which have no package of this name."""


def setup_command(
    extra: Annotated[
        list[str] | None,
        typer.Argument(metavar="[renode] [labgrid]", help="Also Renode, or labgrid's client, in a cache of this user."),
    ] = None,
    dev: Annotated[bool, typer.Option("--dev", help="Also what the project's own checks need.")] = False,
    source: Annotated[
        str | None,
        typer.Option("--from", metavar="URL|FILE", help="Renode's package, where it is not fetched from its release."),
    ] = None,
    sha256: Annotated[str | None, typer.Option("--sha256", metavar="HEX", help="Of the package of --from.")] = None,
) -> int:
    """Install what is missing and build the firmware for every target."""
    from harness.bootstrap.system import ensure_system_parts
    from harness.build.paths import hil_command
    from harness.targets.choice import TargetChoice
    from harness.workbench import TARGET_KINDS

    package = _renode_package(extra or [], source, sha256)
    if dev:
        _refuse_outside_a_clone("--dev")
    if package is not None:
        from harness.renode.install import install

        install(package, say)
    if "labgrid" in (extra or []) or dev:
        _install_labgrid(needed="labgrid" in (extra or []))
    # In a clone the launcher has made .venv already, with or without the tools of --dev; else pip has installed us.
    ensure_system_parts((*all_parts(), *(DEV_PARTS if dev else ())), say)
    ensure_system_parts(LATER_DEV_PARTS if dev else (), say)
    for kind in (*TARGET_KINDS, *([] if package is None else ["renode"])):
        ready_target(TargetChoice(kind))
        say(f"{kind}: ready")
    say(f"set up; next: `{hil_command()} demo`" + ("" if not dev else ", `./hil test`"))
    return 0


def _renode_package(extra: list[str], source: str | None, sha256: str | None) -> Package | None:
    """The package of Renode that is asked for; None if none is."""
    from harness.errors import UsageError
    from harness.renode.release import package_from, release_package

    unknown = sorted(set(extra) - {"renode", "labgrid"})
    if unknown:
        raise UsageError(f"set-up has no part {', '.join(unknown)}", remedy="there are renode and labgrid")
    if "renode" not in extra and (source is not None or sha256 is not None):
        raise UsageError("--from and --sha256 are for Renode", remedy="write `hil setup renode --from ...`")
    if "renode" not in extra:
        return None
    return release_package() if source is None and sha256 is None else package_from(source, sha256)


def _install_labgrid(*, needed: bool) -> None:
    """For its own sake, or for the project's tests, which say what they leave out without it."""
    from harness.errors import TargetUnavailable
    from harness.lab.install import install

    try:
        install(say)
    except TargetUnavailable as error:
        if needed:
            raise
        say(f"{error.message}\nTests of labgrid are left out. What to do: {error.remedy}")


def run_tests_command(
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="format, lint, types, tests, fuzz, renode.")
    ] = None,
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
