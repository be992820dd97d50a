"""The program that a device runs, where it was built here: what its build id leads to."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from harness.build import recipe
from harness.build.elf import build_id as build_id_of
from harness.build.elf import sizes
from harness.build.native import kept_executables
from harness.build.platformio import current_elf
from harness.errors import BuildFailed


@lru_cache(maxsize=16)
def program_facts(build_id: bytes, board: str) -> dict[str, Any] | None:
    """Fields of docs/REPORT.md on a program; None where the one with this build id is not ours as it is now.

    Args:
        build_id: of the running program.
        board: that it is made for, as it says; empty of a process.
    """
    elf = _elf(build_id, board)
    if elf is None:
        return None
    of_chip = sizes(elf) if board else None
    return {
        "elf_sha256": hashlib.sha256(elf.read_bytes()).hexdigest(),
        "cmsis_dsp": recipe.load().cmsis_dsp.version,
        "flash_bytes": None if of_chip is None else of_chip.flash_bytes,
        "ram_bytes": None if of_chip is None else of_chip.ram_bytes,
        "reserved_stack_bytes": None if of_chip is None else of_chip.stack_bytes,
    }


def _elf(build_id: bytes, board: str) -> Path | None:
    # A section of platformio.ini is named after its board. What a device says is no path before it is a name.
    if board and not board.isidentifier():
        return None
    candidates = [current_elf(board)] if board else kept_executables()
    return next((path for path in candidates if path is not None and _is_of(path, build_id)), None)


def _is_of(path: Path, build_id: bytes) -> bool:
    try:
        return build_id_of(path) == build_id
    except (BuildFailed, OSError):  # another process may have removed it
        return False
