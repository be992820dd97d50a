"""Options that several commands share, and what they mean."""

from __future__ import annotations

import shutil
import sys
from typing import Annotated, TypeAlias

import typer

from harness.bootstrap.system import ensure_system_parts, missing_parts
from harness.errors import BuildFailed, UsageError
from harness.targets.base import Target
from harness.workbench import make_target

Qemu: TypeAlias = Annotated[bool, typer.Option("--qemu", help="The firmware's ELF under QEMU (the default).")]
Native: TypeAlias = Annotated[
    bool, typer.Option("--native", help="The firmware as a process of this machine, under ASan and UBSan.")
]

_PARTS = {
    "qemu": ("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm"),
    "native": ("gcc", "libc6-dev"),
}
_PROGRAMS = {"qemu": ("arm-none-eabi-gcc", "qemu-system-arm"), "native": ("gcc",)}


def say(text: str) -> None:
    """Tell what is going on, on standard error: standard output is the result's."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def chosen_target(qemu: bool, native: bool) -> tuple[str, bool]:
    """(kind of the target, whether it is only the default).

    Raises:
        UsageError: two targets were asked for.
    """
    if qemu and native:
        raise UsageError("--qemu and --native were both given", remedy="choose one target")
    if native:
        return "native", False
    return "qemu", not qemu


def ready_target(kind: str, *, count_instructions: bool = False) -> Target:
    """A target with its system parts installed and its firmware built; both only where they are missing.

    Raises:
        TargetUnavailable: parts are missing and cannot be installed here, with the command that would.
        BuildFailed: the firmware could not be built.
    """
    if any(shutil.which(program) is None for program in _PROGRAMS[kind]):
        ensure_system_parts(_PARTS[kind], say)
    try:
        return make_target(kind, say, count_instructions=count_instructions)
    except BuildFailed:
        # The compiler answers, but a part of it may be missing, the C library for one.
        if not missing_parts(_PARTS[kind]):
            raise
        ensure_system_parts(_PARTS[kind], say)
        return make_target(kind, say, count_instructions=count_instructions)


def all_parts() -> tuple[str, ...]:
    """Every system part that any target needs."""
    return tuple(part for parts in _PARTS.values() for part in parts)
