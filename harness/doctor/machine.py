"""Checks of this machine: room on its disks, folders that can be written, tools that are there and new enough."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.doctor.outcomes import NotChecked
from harness.errors import HilError
from harness.findings import BY_ID, found
from harness.findings.writing import is_full
from harness.processes import run_to_its_end
from harness.transport.rights import user_name

NEEDED_MB = 64
"""The firmware for all targets, with logs and the oracle's answers of some hundred runs, takes 20 MB."""

_ANSWER_TIMEOUT_S = 20.0
"""Renode, started for the first time on a busy machine, is the slowest to tell its version."""


@dataclass(frozen=True)
class Tool:
    """A program that hil runs.

    Attributes:
        check: name of the check.
        program: its name on the PATH.
        least: the oldest version that serves.
        missing: finding where it is not there.
        too_old: finding where it is older.
        pattern: of its version, in what it answers to --version.
    """

    check: str
    program: str
    least: str
    missing: str
    too_old: str
    pattern: str


# Where no reason is given the least version is that of Ubuntu 22.04, the oldest system with a Python that we take.
GCC = Tool("arm-gcc", "arm-none-eabi-gcc", "10.3", "no_toolchain", "toolchain_too_old", r"\) (\d+(?:\.\d+)+)")
QEMU = Tool("qemu", "qemu-system-arm", "6.2", "no_qemu", "qemu_too_old", r"version (\d+(?:\.\d+)+)")
# 1.15.3 sets flags wrong, see harness/targets/renode.py.
RENODE = Tool("renode", "renode", "1.16", "no_renode", "renode_too_old", r"Renode(?: v|, version )(\d+(?:\.\d+)+)")
# `adapter serial` came with 0.12.
OPENOCD = Tool("openocd", "openocd", "0.12", "no_openocd", "openocd_too_old", r"Debugger (\d+(?:\.\d+)+)")
# What pyproject.toml asks for as the extra `pyocd`.
PYOCD = Tool("pyocd", "pyocd", "0.36", "no_pyocd", "pyocd_too_old", r"^(\d+(?:\.\d+)+)")
# What pyproject.toml asks for; it is a module beside us, not a program.
PLATFORMIO = Tool("platformio", "platformio", "6.2", "no_platformio", "platformio_too_old", r"^(\d+(?:\.\d+)+)")


def check_tool(tool: Tool, path: str | Path | None = None) -> str:
    """The tool's version and place.

    Args:
        tool: which one.
        path: where it is; None: looked for on the PATH.

    Raises:
        HilError: a finding: it is missing, too old, or does not run.
    """
    program = shutil.which(tool.program) if path is None else str(path)
    if program is None:
        raise _finding(tool.missing)
    return check_version(tool, program, _answer(program))


def check_platformio(version: Callable[[str], str] = importlib.metadata.version) -> str:
    """PlatformIO's version; it is a module beside us, not a program.

    Raises:
        HilError: a finding: it is missing or too old.
    """
    try:
        return check_version(PLATFORMIO, f"{sys.executable} -m platformio", version("platformio"))
    except importlib.metadata.PackageNotFoundError as error:
        raise _finding("no_platformio") from error


def check_version(tool: Tool, program: str, answer: str) -> str:
    """The version that an answer names, if it is new enough.

    Raises:
        HilError: a finding: it is too old, or names no version at all.
    """
    match = re.search(tool.pattern, answer, re.MULTILINE)
    if match is None:
        first = (answer.strip().splitlines() or ["nothing"])[0][:100]
        raise found("tool_broken", program=program, reason=f"its answer to --version is: {first}")
    version = match.group(1)
    if _parts(version) < _parts(tool.least):
        raise _finding(tool.too_old, program=program, version=version, least=tool.least)
    return f"{version}, {program}"


def needed_only(look: Callable[[], str], needed_for: str) -> str:
    """The same check of something that nobody asked for: what is not there is no finding.

    Raises:
        NotChecked: it would be a finding.
    """
    try:
        return look()
    except HilError as error:
        kind = BY_ID.get(error.code)
        what = error.message if kind is None else kind.title
        raise NotChecked(f"{what} ({error.code}), and only {needed_for} needs it") from error
    except OSError as error:
        raise NotChecked(f"{error}; only {needed_for} needs it") from error


def check_folder(folder: Path, purpose: str, free_bytes: Callable[[Path], int] | None = None) -> str:
    """How much room there is, after writing a file.

    Args:
        folder: that must be written; made if it is not there.
        purpose: what it is for.
        free_bytes: how much is free; tests bring their own.

    Raises:
        HilError: a finding: the disk is full, or the folder cannot be written.
    """
    free_mb = (free_bytes or _free_bytes)(_existing(folder)) // 10**6
    if free_mb < NEEDED_MB:
        room = f"{free_mb} MB free on its disk, {NEEDED_MB} MB needed"
        raise found("disk_full", path=f"{folder} ({purpose})", reason=room)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
    except OSError as error:
        reason = error.strerror or str(error)
        if is_full(error):
            raise found("disk_full", path=f"{folder} ({purpose})", reason=reason) from error
        raise found("cache_not_writable", folder=folder, purpose=purpose, reason=reason, user=user_name()) from error
    return f"{free_mb / 1000:.1f} GB free, {folder} can be written"


def _free_bytes(folder: Path) -> int:
    return shutil.disk_usage(folder).free


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.absolute().parents) if path.exists())


def _finding(finding_id: str, **facts: Any) -> HilError:
    return found(finding_id, python=sys.executable, **facts)


def _answer(program: str, question: Sequence[str] = ("--version",)) -> str:
    try:
        status, output = run_to_its_end([program, *question], timeout_s=_ANSWER_TIMEOUT_S)
    except OSError as error:
        raise found("tool_broken", program=program, reason=error.strerror or str(error)) from error
    except subprocess.TimeoutExpired as error:
        raise found(
            "tool_broken", program=program, reason=f"no answer to --version in {_ANSWER_TIMEOUT_S:g} s"
        ) from error
    if status != 0:
        last = (output.strip().splitlines() or ["it says nothing"])[-1][:200]
        raise found("tool_broken", program=program, reason=f"exit status {status}: {last}")
    return output


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
