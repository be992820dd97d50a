"""The chip's firmware with a request that faults on purpose: firmware/test/provoke.c before its handler of requests."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import ClassVar

from harness.build import recipe
from harness.build.cmsis import cmsis_dsp_dir
from harness.build.paths import project_root
from harness.build.platformio import ENVIRONMENT, firmware_elf
from harness.protocol.messages import EchoReply, Request
from harness.protocol.records import u8
from harness.protocol.wire import MessageType


class Provoked(IntEnum):
    """What the firmware is made to do."""

    DIVISION_BY_ZERO = 0
    UNDEFINED_INSTRUCTION = 1
    BAD_ADDRESS = 2
    STACK_OVERFLOW = 3
    NO_THUMB_BIT = 4
    UNEXPECTED_INTERRUPT = 5
    HANG = 6
    LARGE_FRAME = 7
    FAULT_WITH_INTERRUPTS_OFF = 8
    LOST_STACK = 9


@dataclass(frozen=True, kw_only=True)
class Provoke(Request[EchoReply]):
    """Never answered by a firmware that faults; refused as unknown by any other."""

    TYPE: ClassVar[MessageType] = 0x3F  # type: ignore[assignment]
    REPLY: ClassVar = EchoReply

    what: Provoked = u8("which fault")  # noqa: RUF009 - as in the schema


def faulty_elf(folder: Path) -> Path:
    """The objects of the firmware's own build, with that one file more, linked anew."""
    parts = recipe.load()
    root, build = project_root(), firmware_elf().parent
    compiler = (build / "compiler.txt").read_text(encoding="utf-8")
    board = root / "firmware" / "boards" / ENVIRONMENT
    flags = [*parts.compile_flags(parts.target), *parts.warning_flags]
    flags += [f"-I{root / name}" for name in parts.include_dirs] + [f"-I{board}"]
    flags += ["-isystem", str(cmsis_dsp_dir() / "Include"), f"-ffile-prefix-map={root}=."]
    provoke, elf = folder / "provoke.o", folder / "firmware.elf"
    _run([compiler, *flags, "-c", str(root / "firmware" / "test" / "provoke.c"), "-o", str(provoke)])
    objects = [str(path) for path in sorted(build.rglob("*.o"))]
    script = root / "firmware" / "port" / "stm32f4" / "stm32f4.ld"
    link = [*parts.machine_flags(parts.target), *parts.target.link_flags, "-Wl,--wrap=handle_request"]
    link += [f"-L{board}", "-T", str(script)]
    _run([compiler, *link, "-o", str(elf), str(provoke), *objects, *(f"-l{name}" for name in parts.target.libraries)])
    return elf


def _run(argv: list[str]) -> None:
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
