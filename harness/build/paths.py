"""Where the sources and the things made of them lie."""

from __future__ import annotations

from pathlib import Path

from harness.build import installed
from harness.errors import TargetUnavailable

_TREE = Path(__file__).resolve().parents[2]


def is_clone() -> bool:
    """Whether this is a clone of the repository, or else an installed package."""
    return not installed.carries_sources() and (_TREE / "platformio.ini").is_file()


def project_root() -> Path:
    """The directory that holds platformio.ini and firmware/: the clone, else a copy of the package's in the cache.

    Raises:
        TargetUnavailable: this harness was installed without them, or the cache cannot be written.
    """
    if is_clone():
        return _TREE
    if installed.carries_sources():
        return installed.unpacked()
    raise TargetUnavailable(
        f"the firmware's sources are not in {_TREE}",
        code="no_sources",
        remedy="install the package anew with `pip install`, or run from a clone of the repository",
    )


def work_dir() -> Path:
    """The directory for everything that is made and may be deleted."""
    path = project_root() / ".hil"
    path.mkdir(exist_ok=True)
    return path


def hil_command() -> str:
    """How people start the program here."""
    return "./hil" if is_clone() else "hil"
