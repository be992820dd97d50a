"""Puts a package of Renode into the user's cache: checked before it is unpacked, in force only when it runs."""

from __future__ import annotations

import gzip
import hashlib
import lzma
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path

from harness.errors import TargetUnavailable
from harness.processes import run_to_its_end
from harness.programs import is_program
from harness.renode.download import download
from harness.renode.find import PROGRAM, home, installed, put_in_force
from harness.renode.release import Package

Say = Callable[[str], None]

_KEY_LETTERS = 16
"""Of the hash, to tell packages apart in the cache."""

_VERSION_TIMEOUT_S = 120.0
"""For `renode --version`: 2 s, but a portable package unpacks parts of itself when it is first started."""

_NEW = "new-"

_BROKEN = (tarfile.TarError, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
"""What tarfile raises for a file that is no archive, or half of one."""


def install(package: Package, say: Say) -> Path:
    """Install a package, if it is not there yet; what was installed before stays until then.

    Args:
        package: which one.
        say: told what takes time.

    Returns:
        The program `renode`.

    Raises:
        TargetUnavailable: it could not be fetched, is not what it should be, or does not run here.
    """
    from filelock import FileLock, Timeout

    try:
        home().mkdir(parents=True, exist_ok=True)
        lock = FileLock(home() / "lock")
        try:
            held = lock.acquire(blocking=False)
        except Timeout:
            say("another process is installing Renode: waiting for it")
            held = lock.acquire()
        with held:
            return _install(package, say)
    except OSError as error:
        raise TargetUnavailable(
            f"Renode cannot be installed in {home()}: {error}",
            code="cache_not_writable",
            remedy="look at the disk and its rights, or set XDG_CACHE_HOME to a folder of yours",
        ) from error


def _install(package: Package, say: Say) -> Path:
    folder = home() / package.sha256[:_KEY_LETTERS]
    program = installed()
    if program is not None and program.is_relative_to(folder):
        say(f"Renode is installed: {program}")
        return program
    for unfinished in home().glob(f"{_NEW}*"):
        shutil.rmtree(unfinished)
    with tempfile.TemporaryDirectory(dir=home(), prefix=_NEW) as scratch:
        archive, tree = Path(scratch, "package"), Path(scratch, "tree")
        _fetch(package, archive, say)
        _check_hash(package, archive)
        say("unpacking it")
        _unpack(package, archive, tree)
        name = _program_in(package, tree)
        say(f"it runs: {_version(tree / name)}")
        shutil.rmtree(folder, ignore_errors=True)  # of the same name, and not in force: damaged
        os.rename(tree, folder)
    put_in_force(folder / name)
    for old in home().iterdir():
        if old.is_dir() and old != folder:
            shutil.rmtree(old, ignore_errors=True)
    say(f"Renode is installed: {folder / name}")
    return folder / name


def _fetch(package: Package, archive: Path, say: Say) -> None:
    if "://" in package.source:
        download(package.source, archive, say)
        return
    shutil.copyfile(package.source, archive)


def _check_hash(package: Package, archive: Path) -> None:
    with archive.open("rb") as file:
        sha256 = hashlib.sha256()
        while chunk := file.read(1 << 20):
            sha256.update(chunk)
    if sha256.hexdigest() != package.sha256:
        raise TargetUnavailable(
            f"{package.source} is not the package that was asked for: its SHA-256 is {sha256.hexdigest()}, "
            f"not {package.sha256}",
            code="renode_wrong_hash",
            remedy="compare with what the publisher states; if that is the first of the two, give it with --sha256",
        )


def _unpack(package: Package, archive: Path, tree: Path) -> None:
    if not hasattr(tarfile, "data_filter"):
        raise TargetUnavailable(
            "this Python's tarfile cannot refuse archives that write outside their folder",
            code="python_too_old",
            remedy="update Python (3.10.12, 3.11.4 or later), or unpack the package by hand and set RENODE_PATH",
        )
    try:
        with tarfile.open(archive) as tar:
            tar.extractall(tree, filter=_careful)
    except tarfile.FilterError as error:
        raise TargetUnavailable(
            f"{package.source} holds what no package of Renode holds, and was not installed: {error}",
            code="renode_package_hostile",
            remedy="take the package from Renode's release page",
        ) from error
    except _BROKEN as error:
        raise TargetUnavailable(
            f"{package.source} is no tar archive that can be read: {error}",
            code="renode_package_broken",
            remedy="take one of the packages named linux-portable-dotnet.tar.gz",
        ) from error


def _careful(member: tarfile.TarInfo, folder: str) -> tarfile.TarInfo | None:
    if member.name.startswith("/"):
        raise tarfile.AbsolutePathError(member)  # the filter would make it a relative one
    return tarfile.data_filter(member, folder)


def _program_in(package: Package, tree: Path) -> Path:
    """The program's path in the unpacked package."""
    found = [path for path in (tree / PROGRAM, *sorted(tree.glob(f"*/{PROGRAM}"))) if is_program(path)]
    if not found:
        raise TargetUnavailable(
            f"{package.source} holds no program named {PROGRAM}",
            code="renode_package_broken",
            remedy="take one of the packages named linux-portable-dotnet.tar.gz",
        )
    return found[0].relative_to(tree)


def _version(program: Path) -> str:
    try:
        status, output = run_to_its_end([str(program), "--version"], timeout_s=_VERSION_TIMEOUT_S)
        output, failed = output.strip(), status != 0
    except subprocess.TimeoutExpired:
        output, failed = f"no answer within {_VERSION_TIMEOUT_S:g} s", True
    except OSError as error:
        output, failed = str(error), True
    if failed or not output:
        raise TargetUnavailable(
            f"the package was unpacked, and its {PROGRAM} --version fails: {output[-500:] or 'no output'}",
            code="renode_does_not_run",
            remedy="look whether the package is for this kind of machine",
        )
    return output.splitlines()[0]
