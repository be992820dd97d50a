"""Programs of others: where they are, their own installation or one of ours in the user's cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from harness.errors import TargetUnavailable


def find_program(
    program: str, variable: str, installed: Callable[[], Path | None], *, name: str, code: str, remedy: str
) -> Path:
    """A program: by an environment variable, else on the PATH, else as we installed it.

    Args:
        program: its file's name.
        variable: that names it, or the folder that holds it.
        installed: gives ours, if there is one.
        name: for people.
        code: of the error.
        remedy: of the error.

    Raises:
        TargetUnavailable: there is none, or the variable names none.
    """
    named = os.environ.get(variable)
    if named:
        path = Path(named).expanduser()
        path = path / program if path.is_dir() else path
        if not is_program(path):
            raise TargetUnavailable(f"{variable} is {named}, and {path} is no program", code=code, remedy=remedy)
        return path.absolute()
    on_path = shutil.which(program)
    found = installed() if on_path is None else Path(on_path).absolute()
    if found is None:
        raise TargetUnavailable(
            f"there is no {name}: not on the PATH, {variable} is not set, and none was installed",
            code=code,
            remedy=remedy,
        )
    return found


def cache_folder(name: str) -> Path:
    """The folder for what we install of it. May not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("lstm-hil"), name)


def is_program(path: Path) -> bool:
    """Whether it is a file that we may run."""
    return path.is_file() and os.access(path, os.X_OK)
