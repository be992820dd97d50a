"""Fetches CMSIS-DSP's sources, once: the source distribution of its Python package, by name and hash, through pip.

Standard library only: see the package.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from harness.build import recipe
from harness.build.paths import work_dir
from harness.build.recipe import CmsisDsp
from harness.errors import BuildFailed
from harness.processes import run_to_its_end

Say = Callable[[str], None]

_METADATA_NEEDS = ("numpy", "packaging", "setuptools", "wheel")
"""pip runs the package's set-up script to learn its metadata, and these are what that script imports."""

_DOWNLOAD_TIMEOUT_S = 600.0
"""2 MB over a slow line, or in the worst case NumPy's wheel with it."""

_PARTS = ("Include", "PrivateInclude", "Source", "LICENSE")
"""What is unpacked; the rest is the Python wrapper and other libraries."""


def cmsis_dsp_dir(say: Say = lambda _: None) -> Path:
    """The directory that holds CMSIS-DSP's Include and Source; fetches it where it is not there yet.

    Args:
        say: told before something takes time.

    Raises:
        BuildFailed: it could not be had.
    """
    pin = recipe.load().cmsis_dsp
    home = work_dir() / f"cmsis-dsp-{pin.version}"
    if not home.is_dir():
        with tempfile.TemporaryDirectory(dir=work_dir(), prefix="cmsis-dsp-") as scratch:
            archive = _archive(pin, Path(scratch), say)
            _check(archive, pin)
            _unpack(archive, Path(scratch), home)
    return home


def _archive(pin: CmsisDsp, scratch: Path, say: Say) -> Path:
    name = f"{pin.distribution}-{pin.version}.tar.gz"
    brought = work_dir() / "downloads" / name
    if brought.is_file():
        return brought
    say(f"fetching CMSIS-DSP {pin.version}")
    requirements = scratch / "requirements.txt"
    requirements.write_text(f"{pin.distribution}=={pin.version} --hash=sha256:{pin.sha256}\n", encoding="utf-8")
    argv = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-binary", pin.distribution]
    argv += ["--require-hashes", "--requirement", str(requirements), "--dest", str(scratch)]
    if all(importlib.util.find_spec(module) for module in _METADATA_NEEDS):
        argv += ["--no-build-isolation"]  # otherwise pip fetches them, into an environment of its own
    try:
        status, output = run_to_its_end(argv, timeout_s=_DOWNLOAD_TIMEOUT_S)
        failed = status != 0
    except subprocess.TimeoutExpired:
        output, failed = f"pip did not end within {_DOWNLOAD_TIMEOUT_S:g} s", True
    if failed or not (scratch / name).is_file():
        raise BuildFailed(
            f"pip could not fetch CMSIS-DSP: {_last_lines(output)}",
            code="no_cmsis_dsp",
            remedy=f"check the network, or put {name} into {brought.parent} and run again",
        )
    return scratch / name


def _check(archive: Path, pin: CmsisDsp) -> None:
    sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    if sha256 != pin.sha256:
        raise BuildFailed(
            f"{archive} is not CMSIS-DSP {pin.version}: its SHA-256 is {sha256}, not {pin.sha256}",
            code="wrong_cmsis_dsp",
            remedy="delete it and run again",
        )


def _unpack(archive: Path, scratch: Path, home: Path) -> None:
    top = archive.name[: -len(".tar.gz")]
    with tarfile.open(archive) as tar:
        members = list(_wanted(tar, top))
        if hasattr(tarfile, "data_filter"):
            tar.extractall(scratch, members, filter="data")
        else:  # Pythons before 3.10.12 and 3.11.4; _wanted has let through plain files inside `top` only
            tar.extractall(scratch, members)
    try:
        os.rename(scratch / top, home)
    except OSError:
        if not home.is_dir():  # otherwise another process has just put the same in place
            raise


def _wanted(tar: tarfile.TarFile, top: str) -> Iterator[tarfile.TarInfo]:
    for member in tar:
        path = PurePosixPath(member.name)
        is_plain = member.isfile() and not path.is_absolute() and ".." not in path.parts
        if is_plain and len(path.parts) > 1 and path.parts[0] == top and path.parts[1] in _PARTS:
            yield member


def _last_lines(output: str, count: int = 5) -> str:
    return "\n".join(output.strip().splitlines()[-count:])
