"""Where Renode is: its own installation, or one of ours in the user's cache."""

from __future__ import annotations

import os
from pathlib import Path

from harness.programs import cache_folder, find_program, is_program

PROGRAM = "renode"

VARIABLE = "RENODE_PATH"
"""Environment variable that names the program, or the folder that holds it."""

_POINTER = "installed"
"""The file in our folder that names the program in force, relative to the folder. Replaced as a whole."""

_REMEDY = (
    "run `hil setup renode` (without a network: `hil setup renode --from FILE --sha256 HEX`), or set "
    f"{VARIABLE} to the program or its folder"
)


def find_renode() -> Path:
    """The program `renode`: by RENODE_PATH, else on the PATH, else as `hil setup renode` installed it.

    Raises:
        TargetUnavailable: there is none, or RENODE_PATH names none.
    """
    return find_program(PROGRAM, VARIABLE, installed, name="Renode", code="no_renode", remedy=_REMEDY)


def home() -> Path:
    """The folder for what we install. May not exist."""
    return cache_folder("renode")


def installed() -> Path | None:
    """The program that was installed last, if it is there."""
    try:
        program = home() / (home() / _POINTER).read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return program if is_program(program) else None


def put_in_force(program: Path) -> None:
    """Make a program in our folder the one that is found."""
    fresh = home() / f"{_POINTER}.new"
    fresh.write_text(f"{program.relative_to(home()).as_posix()}\n", encoding="utf-8")
    os.replace(fresh, home() / _POINTER)
