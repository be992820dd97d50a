"""The parts that pip cannot install: compilers, an emulator, Debian's half of venv.

A part is there when it does its work, whoever installed it: an ARM toolchain unpacked by hand and put on PATH is as
good as Debian's.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from harness.bootstrap import apt
from harness.bootstrap.console import print_to_stderr
from harness.errors import TargetUnavailable

CORTEX_M4F: Final = ("-mcpu=cortex-m4", "-mthumb", "-mfpu=fpv4-sp-d16", "-mfloat-abi=hard")
SANITIZERS: Final = ("-fsanitize=address,undefined",)
FUZZER: Final = ("-fsanitize=fuzzer,address,undefined",)
FUZZ_PROBE: Final = "int LLVMFuzzerTestOneInput(const char *data, unsigned long size) { return !data && size; }\n"
PROBE: Final = "#include <math.h>\n#include <stdio.h>\nint main(int n, char **v) { return (int)tanhf(n) + !v; }\n"

CODES: Final = {"gcc-arm-none-eabi": "no_toolchain", "qemu-system-arm": "no_qemu"}
"""Parts whose absence `hil doctor` finds too, with its ids. The first part that is missing gives the error its code."""

Say = Callable[[str], None]


@dataclass(frozen=True)
class Part:
    """Something that the system's package manager installs."""

    name: str
    """Debian's package, which is also what the harness calls the part."""

    purpose: str
    """What it is for, to end the sentence "is needed"."""

    is_present: Callable[[], bool] = field(repr=False)

    elsewhere: dict[str, str] = field(default_factory=dict, repr=False)
    """Likely package names for other package managers, by the manager's program."""


def missing_parts(names: Iterable[str]) -> tuple[Part, ...]:
    """The parts of these names that this machine does not have, in the order asked for."""
    return tuple(part for part in (PARTS[name] for name in dict.fromkeys(names)) if not part.is_present())


def ensure_system_parts(names: Iterable[str], say: Say = print_to_stderr) -> None:
    """Install what is missing of these parts, if this machine lets us.

    It does on Debian, Ubuntu and their like, as root or with a sudo that asks no password. What will be installed, and
    how much, is said first.

    Raises:
        TargetUnavailable: something is missing and could not be installed; its remedy is the exact command.
    """
    missing = missing_parts(names)
    if not missing:
        return
    if any(part.name == VENV for part in missing) and not _python_is_the_systems():
        raise TargetUnavailable(
            f"{sys.executable} was built without ensurepip, which is needed to make .venv.",
            code="python_without_ensurepip",
            remedy="Start hil with the system's Python: /usr/bin/python3 ./hil",
        )
    packages = [_package(part) for part in missing]
    prefix = apt.prefix_with_rights() if apt.is_available() else None
    if prefix is None:
        raise _unavailable(missing, "")
    apt.install(packages, prefix, say)
    if still_missing := missing_parts(part.name for part in missing):
        raise _unavailable(still_missing, " even though apt-get has installed it")


def _unavailable(parts: Sequence[Part], circumstance: str) -> TargetUnavailable:
    listed = "; ".join(f"{_package(part)} ({part.purpose})" for part in parts)
    return TargetUnavailable(
        f"missing on this machine{circumstance}: {listed}.",
        code=CODES.get(parts[0].name, "system_parts_missing"),
        remedy=_install_command(parts),
    )


def _install_command(parts: Sequence[Part]) -> str:
    if apt.is_available():
        return apt.advice([_package(part) for part in parts])
    for manager, command in ELSEWHERE.items():
        if shutil.which(manager):
            names = " ".join(dict.fromkeys(part.elsewhere[manager] for part in parts if manager in part.elsewhere))
            return f"Run (the names may differ on your system): {command} {names}"
    names = " ".join(part.name for part in parts)
    return f"Install with your system's package manager what Debian calls: {names}"


def _package(part: Part) -> str:
    """Debian's package: the name, but for a /usr/bin/python3.13 that is not the default python3."""
    if part.name == VENV and os.path.realpath("/usr/bin/python3") != os.path.realpath(base_python()):
        return f"python3.{sys.version_info[1]}-venv"
    return part.name


def base_python() -> str:
    """The interpreter that this one is, or if this one is in a virtual environment, was made from."""
    return str(getattr(sys, "_base_executable", sys.executable))


def _python_is_the_systems() -> bool:
    return os.path.dirname(os.path.realpath(base_python())) == "/usr/bin"


def _answers(program: str, question: str = "--version") -> bool:
    return _succeeds([program, question])


def _has_library(compiler: str, library: str) -> bool:
    """Whether the compiler knows where this library is: it prints the bare name back if not."""
    try:
        answer = subprocess.run(
            [compiler, f"-print-file-name={library}"], capture_output=True, text=True, timeout=60, check=False
        )
    except OSError:
        return False
    return os.path.isabs(answer.stdout.strip())


def _can_link(compiler: str, *flags: str, probe: str = PROBE) -> bool:
    with tempfile.TemporaryDirectory() as folder:
        program = str(Path(folder, "probe"))
        return _succeeds([compiler, *flags, "-x", "c", "-", "-o", program, "-lm"], probe)


def _succeeds(command: Sequence[str], text: str = "") -> bool:
    try:
        done = subprocess.run(command, input=text, text=True, capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def _gcc_has_sanitizers() -> bool:
    # Apple's gcc is clang, which brings its own under other names.
    return _answers("gcc") and (sys.platform != "linux" or _has_library("gcc", "libasan.so"))


def _has_ensurepip() -> bool:
    importlib.invalidate_caches()  # it may have been installed a moment ago
    return importlib.util.find_spec("ensurepip") is not None


VENV: Final = "python3-venv"

PARTS: Final = {
    part.name: part
    for part in (
        Part(
            "gcc-arm-none-eabi",
            "compiles the firmware",
            lambda: _answers("arm-none-eabi-gcc"),
            {"dnf": "arm-none-eabi-gcc-cs", "pacman": "arm-none-eabi-gcc", "brew": "gcc-arm-embedded"},
        ),
        Part(
            "libnewlib-arm-none-eabi",
            "the C library of the firmware",
            lambda: _can_link("arm-none-eabi-gcc", *CORTEX_M4F, "--specs=nano.specs", "--specs=nosys.specs"),
            {"dnf": "arm-none-eabi-newlib", "pacman": "arm-none-eabi-newlib", "brew": "gcc-arm-embedded"},
        ),
        Part(
            "qemu-system-arm",
            "runs the firmware without a board",
            lambda: _answers("qemu-system-arm"),
            {"dnf": "qemu-system-arm", "pacman": "qemu-system-arm", "brew": "qemu"},
        ),
        Part(
            "gcc",
            "compiles the firmware for this machine, with its sanitizers",
            _gcc_has_sanitizers,
            {"dnf": "gcc libasan libubsan", "pacman": "gcc", "brew": "gcc"},
        ),
        Part(
            "libc6-dev",
            "this machine's C library",
            lambda: _can_link("gcc", *SANITIZERS),
            {"dnf": "glibc-devel", "pacman": "glibc", "brew": "gcc"},
        ),
        Part(
            "ser2net",
            "serves a serial port over the network, for one test; its service may stay off",
            lambda: _answers("ser2net", "-v") or _answers("/usr/sbin/ser2net", "-v"),
            {"dnf": "ser2net", "brew": "ser2net"},
        ),
        Part(
            "clang",
            "compiles the firmware for its fuzzers",
            lambda: _answers("clang"),
            {"dnf": "clang", "pacman": "clang"},
        ),
        Part(
            "libclang-rt-dev",
            "libFuzzer, and the sanitizers for clang",
            lambda: _can_link("clang", *FUZZER, probe=FUZZ_PROBE),
            {"dnf": "compiler-rt", "pacman": "compiler-rt"},
        ),
        Part(
            VENV,
            "makes .venv",
            _has_ensurepip,
            {"dnf": "python3", "pacman": "python", "brew": "python@3.12"},
        ),
    )
}

ELSEWHERE: Final = {"dnf": "sudo dnf install", "pacman": "sudo pacman -S --needed", "brew": "brew install"}
