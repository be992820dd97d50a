"""Builds the chip's ELF with PlatformIO: `pio run`, when something has changed.

On the path of every start: what only a build needs is imported where one is made.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from harness.build import recipe
from harness.build.cmsis import cmsis_dsp_dir
from harness.build.fingerprint import digest, files_under, tool_identity
from harness.build.paths import hil_command, project_root, work_dir
from harness.build.tools import failure_lines, run_tool
from harness.errors import BuildFailed, TargetUnavailable

ENVIRONMENT = "nucleo_f446re"
"""The section of platformio.ini that is built where no board is named: what the emulators run."""

_COMPILING = "CONFIGURATION:"
"""PlatformIO prints this once all packages are there, before the first compiler runs."""

Progress = Callable[[str], None]


def current_elf(environment: str = ENVIRONMENT) -> Path | None:
    """The firmware for a chip if it is built and up to date; builds nothing."""
    elf = _build_dir(environment) / "firmware.elf"
    return elf if _is_current(elf) else None


def firmware_elf(progress: Progress = lambda _: None, environment: str = ENVIRONMENT) -> Path:
    """The firmware for a chip, built if it is not up to date.

    Args:
        progress: told before something takes time.
        environment: section of platformio.ini, named after the board.

    Raises:
        TargetUnavailable: a tool is missing.
        BuildFailed: it could not be built.
    """
    elf = _build_dir(environment) / "firmware.elf"
    if _is_current(elf):
        return elf
    from filelock import FileLock

    with FileLock(work_dir() / "platformio.lock"):
        if not _is_current(elf):
            progress(f"building the firmware for the {environment}")
            cmsis_dsp_dir(progress)
            _build(progress, environment)
            _write_stamp(elf)
    return elf


def engine_objects() -> list[Path]:
    """The object files of the numerical core in the last build: ours, and CMSIS-DSP's."""
    return sorted(
        path for part in ("lib/engine", "cmsis-dsp") for path in (_build_dir(ENVIRONMENT) / part).rglob("*.o")
    )


def firmware_objects(part: str) -> list[Path]:
    """The object files of a part of the firmware in the last build.

    Args:
        part: a folder or a file without its suffix, below firmware/.
    """
    place = _build_dir(ENVIRONMENT) / part
    return sorted(place.rglob("*.o")) if place.is_dir() else [place.with_suffix(".o")]


def prepare() -> bool:
    """Choose where `pio run` takes its packages from in this project, and put them there if that is here.

    Returns:
        True for PlatformIO's registry, False for what is installed here. The registry is also the choice where nothing
        is installed here: PlatformIO may have got its packages earlier.

    Raises:
        TargetUnavailable: something that the local way needs is not installed.
    """
    from harness.build import pio_local

    from_registry = pio_local.registry_is_reachable() or not pio_local.has_toolchain()
    if from_registry:
        pio_local.uninstall()
    else:
        pio_local.install()
    return from_registry


def _build(progress: Progress, environment: str = ENVIRONMENT) -> None:
    from harness.build import pio_local

    from_registry = prepare()
    status, output = _pio_run(environment, from_registry=from_registry)
    if status != 0 and from_registry and _COMPILING not in output and pio_local.has_toolchain():
        progress("PlatformIO could not install its packages; building with what is installed here instead")
        pio_local.install()
        status, output = _pio_run(environment, from_registry=False)
    if status != 0 and _COMPILING not in output and not pio_local.has_toolchain():
        raise TargetUnavailable(
            f"there is no {pio_local.GCC}, and PlatformIO could not install one:\n{failure_lines(output)}",
            code="no_toolchain",
            remedy=f"run `{hil_command()} setup`",
        )
    if status != 0:
        raise BuildFailed(
            f"PlatformIO could not build the firmware:\n{failure_lines(output)}",
            remedy=f"run `pio run -e {environment} -v` in {project_root()} for the whole output",
        )


def run_command(*targets: str, environment: str = ENVIRONMENT) -> list[str]:
    """`pio run` for this project, with PlatformIO's targets if any are given."""
    argv = [sys.executable, "-m", "platformio", "run", "-e", environment]
    return [*argv, *(argument for target in targets for argument in ("-t", target))]


def run_environment(*, from_registry: bool) -> dict[str, str]:
    """Environment variables for `run_command`, on top of ours."""
    from harness.build import pio_local

    environment = {
        "PLATFORMIO_SETTING_ENABLE_TELEMETRY": "no",
        "PLATFORMIO_NO_ANSI": "true",
        "PLATFORMIO_DISABLE_PROGRESSBAR": "true",
        "PLATFORMIO_DISABLE_UPGRADE_CHECK": "true",
        "PLATFORMIO_BUILD_DIR": str(_build_dir(ENVIRONMENT).parent),
    }
    if not from_registry:
        environment["PLATFORMIO_CORE_DIR"] = str(pio_local.core_dir())
    return environment


def _pio_run(environment: str, *, from_registry: bool) -> tuple[int, str]:
    argv, variables = run_command(environment=environment), run_environment(from_registry=from_registry)
    return run_tool(argv, what="run PlatformIO", cwd=project_root(), extra_env=variables)


def _build_dir(environment: str) -> Path:
    return project_root() / ".pio" / "build" / environment


def _stamp(elf: Path) -> Path:
    return elf.with_name("stamp.json")


def _is_current(elf: Path) -> bool:
    try:
        stamp = json.loads(_stamp(elf).read_text(encoding="utf-8"))
        return bool(elf.is_file() and stamp == _facts(elf))
    except (OSError, ValueError):
        return False


def _write_stamp(elf: Path) -> None:
    _stamp(elf).write_text(json.dumps(_facts(elf)), encoding="utf-8")


def _facts(elf: Path) -> dict[str, Any]:
    """What must be the same for the ELF to be up to date."""
    root, parts = project_root(), recipe.load()
    sources = files_under(root / "firmware", suffixes=(".c", ".h", ".S", ".inc", ".ld", ".json", ".py"))
    build_files = [
        root / "platformio.ini",
        *(root / "harness" / "build" / name for name in ("recipe.py", "cmsis.py", "pio_local.py")),
    ]
    compiler = (elf.parent / "compiler.txt").read_text(encoding="utf-8")
    return {
        "sources": digest([*sources, *build_files], parts.program_macros(parts.target, elf.parent.name)),
        "elf": hashlib.sha256(elf.read_bytes()).hexdigest(),
        "compiler": tool_identity(compiler) if os.path.isabs(compiler) else None,
    }
