"""Where labgrid's client is: its own installation, or ours in the user's cache."""

from __future__ import annotations

from pathlib import Path

from harness.programs import cache_folder, find_program, is_program

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
    return find_program(PROGRAM, VARIABLE, installed, name=PROGRAM, code="no_labgrid", remedy=_REMEDY)


def home() -> Path:
    """The folder for what we install. May not exist."""
    return cache_folder("labgrid")


def environment() -> Path:
    """The virtual environment of VERSION. May not exist."""
    return home() / VERSION


def installed() -> Path | None:
    """The client that was installed, if it is there."""
    program = environment() / "bin" / PROGRAM
    return program if (environment() / COMPLETE).is_file() and is_program(program) else None
