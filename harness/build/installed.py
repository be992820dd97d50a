"""The sources that an installed package carries: a copy of them in the user's cache, where PlatformIO can write.

Standard library only, but for what tells where the cache is: see the package.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from functools import cache
from pathlib import Path

from harness import __version__
from harness.errors import TargetUnavailable

PACKAGE = Path(__file__).resolve().parents[1]
"""harness/."""

CARRIED = "_project"
"""The folder in it that setup.py makes: platformio.ini, firmware/ and the demo. No clone has it."""

_MODULES = ("__init__.py", "endings.py", "errors.py", "processes.py", "build/*.py")
"""What PlatformIO's extra script imports of us; in the copy, because PlatformIO may run it in another Python."""


def carries_sources(package: Path = PACKAGE) -> bool:
    """Whether this is an installed package with sources, and not a clone."""
    return (package / CARRIED).is_dir()


@cache
def unpacked(package: Path = PACKAGE) -> Path:
    """The copy: a small clone. It is named by version and content, so that no other version is ever built in it.

    Raises:
        TargetUnavailable: the cache cannot be written.
    """
    import platformdirs

    caches = Path(platformdirs.user_cache_dir("lstm-hil"))
    try:
        return _unpack(_files(package), caches)
    except OSError as error:
        raise TargetUnavailable(
            f"the firmware is built in {caches}, and that cannot be written: {error}",
            code="cache_not_writable",
            remedy="make it writable, or set XDG_CACHE_HOME to a folder of yours",
        ) from error


def _unpack(files: dict[str, Path], caches: Path) -> Path:
    home = caches / f"{__version__}-{_digest(files)[:16]}"
    if home.is_dir():
        return home
    caches.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=caches, prefix="new-") as scratch:
        whole = Path(scratch, "whole")
        for name, source in files.items():
            copy = whole / name
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, copy)  # without its mode: the package may be read-only
        try:
            os.rename(whole, home)
        except OSError:
            if not home.is_dir():  # otherwise another process has just put the same in place
                raise
    return home


def _files(package: Path) -> dict[str, Path]:
    """The files of the copy by their names in it."""
    carried = package / CARRIED
    found = {path.relative_to(carried).as_posix(): path for path in carried.rglob("*") if path.is_file()}
    for pattern in _MODULES:
        found |= {f"harness/{path.relative_to(package).as_posix()}": path for path in package.glob(pattern)}
    # pip compiles what it installs, the scripts for PlatformIO too.
    return {name: path for name, path in sorted(found.items()) if path.suffix != ".pyc"}


def _digest(files: dict[str, Path]) -> str:
    hasher = hashlib.sha256()
    for name, path in files.items():
        content = path.read_bytes()
        hasher.update(f"{name}\0{len(content)}\0".encode())
        hasher.update(content)
    return hasher.hexdigest()
