"""Where labgrid's client is: its own installation, or ours in the user's cache."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from harness.errors import TargetUnavailable

VERSION = "26.0.1"
"""What set-up installs. From 25.0 on labgrid speaks gRPC (before: WAMP), and it asks for one version in the whole lab:
where that is another one, its own client on the PATH is used. This one was tested."""

PROGRAM = "labgrid-client"

VARIABLE = "LABGRID_PATH"
"""Environment variable that names the client, or the folder that holds it."""

COMPLETE = "complete"
"""The file in an environment of ours that says that it was made to the end."""

_REMEDY = f"run `hil setup labgrid`, or set {VARIABLE} to the program {PROGRAM} or its folder"


def find_client() -> Path:
    """The program `labgrid-client`: by LABGRID_PATH, else on the PATH, else as `hil setup labgrid` installed it.

    Raises:
        TargetUnavailable: there is none, or LABGRID_PATH names none.
    """
    named = os.environ.get(VARIABLE)
    if named:
        path = Path(named).expanduser()
        program = path / PROGRAM if path.is_dir() else path
        if shutil.which(program) is None:
            raise TargetUnavailable(
                f"{VARIABLE} is {named}, and {program} is no program", code="no_labgrid", remedy=_REMEDY
            )
        return program.absolute()
    on_path = shutil.which(PROGRAM)
    found = installed() if on_path is None else Path(on_path).absolute()
    if found is None:
        raise TargetUnavailable(
            f"there is no {PROGRAM}: not on the PATH, {VARIABLE} is not set, and none was installed",
            code="no_labgrid",
            remedy=_REMEDY,
        )
    return found


def home() -> Path:
    """The folder for what we install. May not exist."""
    import platformdirs

    return Path(platformdirs.user_cache_dir("lstm-hil"), "labgrid")


def environment() -> Path:
    """The virtual environment of VERSION. May not exist."""
    return home() / VERSION


def installed() -> Path | None:
    """The client that was installed, if it is there."""
    program = environment() / "bin" / PROGRAM
    return program if (environment() / COMPLETE).is_file() and shutil.which(program) else None
