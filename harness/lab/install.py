"""Puts labgrid into a virtual environment in the user's cache; in force only when it runs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from harness.errors import TargetUnavailable
from harness.lab.find import COMPLETE, PROGRAM, VERSION, environment, home, installed
from harness.processes import run_to_its_end

Say = Callable[[str], None]

_SHOWN_LINES = 5
"""Of what pip prints when it fails: the last ones say why."""


def install(say: Say) -> Path:
    """Install labgrid, if it is not there yet, with pip and its configuration.

    Args:
        say: told what takes time.

    Returns:
        The program `labgrid-client`.

    Raises:
        TargetUnavailable: it could not be fetched, or does not run here.
    """
    from filelock import FileLock

    try:
        home().mkdir(parents=True, exist_ok=True)
        with FileLock(home() / "lock"):  # another process may be installing it
            return _install(say)
    except OSError as error:
        raise TargetUnavailable(
            f"labgrid cannot be installed in {home()}: {error}",
            code="cache_not_writable",
            remedy="look at the disk and its rights, or set XDG_CACHE_HOME to a folder of yours",
        ) from error


def _install(say: Say) -> Path:
    program, folder = installed(), environment()
    if program is None:
        shutil.rmtree(folder, ignore_errors=True)  # unfinished
        say(f"installing labgrid {VERSION} in {folder}")
        _run([sys.executable, "-m", "venv", str(folder)])
        pip = [str(folder / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        _run([*pip, "install", "--quiet", f"labgrid=={VERSION}"])
        program = folder / "bin" / PROGRAM
        _run([str(program), "--help"])
        (folder / COMPLETE).touch()
    say(f"labgrid is installed: {program}")
    return program


def _run(command: Sequence[str]) -> None:
    status, output = run_to_its_end(command)
    if status:
        last = "\n".join(output.strip().splitlines()[-_SHOWN_LINES:])
        raise TargetUnavailable(
            f"labgrid {VERSION} could not be installed: `{' '.join(command)}` failed: {last or 'no output'}",
            code="labgrid_not_installed",
            remedy="look whether pip reaches its index; or install labgrid yourself, with its client on the PATH",
        )
