"""The stamp: what .venv was made for, written last, so a .venv without one is known to be unfinished.

On the path of every start: imports as little as possible.
"""

from __future__ import annotations

import hashlib
import os
import sys

LAYOUT = "1"
"""Raise it when `environment` makes .venv in another way, so that older ones are made anew."""

FOUNDATION = ("layout", "python", "root", "interpreter")
"""The keys that no update in place can change: if one differs, .venv must be made anew."""


def venv_python(root: str) -> str:
    """The interpreter of the environment under `root`."""
    return os.path.join(root, ".venv", "bin", "python")


def venv_script(root: str) -> str:
    """The program that the launcher hands over to."""
    return os.path.join(root, ".venv", "bin", "hil")


def wanted(root: str, dev: bool) -> dict[str, str]:
    """What a finished .venv must have been made for."""
    stamp = {
        "layout": LAYOUT,
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
        "root": root,  # a virtual environment does not survive being moved or copied
        # /usr/bin/python3 becomes another version when the distribution is upgraded: remember what it pointed to.
        "interpreter": os.path.realpath(venv_python(root)),
        "project": _digest(root, "pyproject.toml"),
        "run": _digest(root, "requirements/run.lock"),
    }
    if dev:
        stamp["dev"] = _digest(root, "requirements/dev.lock")
    return stamp


def read(root: str) -> dict[str, str]:
    """The stamp under `root`; empty if there is none."""
    try:
        with open(_path(root), encoding="utf-8", errors="replace") as file:
            return dict(line.rstrip("\n").split("=", 1) for line in file if "=" in line)
    except OSError:
        return {}


def is_satisfied(root: str, dev: bool) -> bool:
    """Whether .venv is finished and holds what the locks say.

    Once the development tools are in, they are kept up to date by every start.
    """
    stamp = read(root)
    return (
        bool(stamp)
        and wanted(root, dev or "dev" in stamp).items() <= stamp.items()
        and os.path.exists(venv_python(root))
        and os.path.exists(venv_script(root))
    )


def can_update_in_place(root: str) -> bool:
    """Whether the .venv that is there is sound and only its packages are out of date."""
    stamp = read(root)
    now = wanted(root, dev=False)
    return os.path.exists(venv_python(root)) and all(stamp.get(key) == now[key] for key in FOUNDATION)


def remove(root: str) -> None:
    """Declare .venv unfinished."""
    try:
        os.unlink(_path(root))
    except FileNotFoundError:
        pass


def write(root: str, dev: bool) -> None:
    """Declare .venv finished. Atomic: there is a whole stamp or none."""
    fresh = _path(root) + ".new"
    with open(fresh, "w", encoding="utf-8") as file:
        file.writelines(f"{key}={value}\n" for key, value in wanted(root, dev).items())
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, _path(root))


def _path(root: str) -> str:
    return os.path.join(root, ".venv", "hil-stamp")


def _digest(root: str, name: str) -> str:
    with open(os.path.join(root, name), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()
