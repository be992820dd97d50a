"""Where Renode is: its own installation, or one of ours in the user's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.errors import TargetUnavailable

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
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        program = path / PROGRAM if path.is_dir() else path
        if not is_program(program):
            raise TargetUnavailable(
                f"{VARIABLE} is {named}, and {program} is no program", code="no_renode", remedy=_REMEDY
            )
        return program.absolute()
    on_path = shutil.which(PROGRAM)
    found = installed() if on_path is None else Path(on_path).absolute()
    if found is None:
        raise TargetUnavailable(
            f"there is no Renode: not on the PATH, {VARIABLE} is not set, and none was installed",
            code="no_renode",
            remedy=_REMEDY,
        )
    return found


def home() -> Path:
    """The folder for what we install. May not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("lstm-hil"), "renode")


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


def is_program(path: Path) -> bool:
    """Whether it is a file that we may run."""
    return path.is_file() and os.access(path, os.X_OK)
