"""Where an address of the firmware lies in its source: function, file and line, from the ELF that the device runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from elftools.common.exceptions import ELFError
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.elf.elffile import ELFFile

from harness.build.elf import build_id, symbols
from harness.build.paths import project_root
from harness.errors import HilError

_SHOWN_ID_DIGITS = 12
"""Of a build id: enough to tell builds apart."""


def locate(program_id: bytes, address: int, elfs: Iterable[Path] | None = None) -> str:
    """`main at firmware/src/main.c:12 (0x08000120)`, or the address and why there is no line to it.

    Args:
        program_id: build id of the program that the address belongs to.
        address: an address in it.
        elfs: programs to look in; None: those that were built here. Only one of this build id is believed.
    """
    looked_at = []
    for elf in built_elfs() if elfs is None else elfs:
        its_id = _id_of(elf)
        if its_id == program_id:
            return _place_in(elf, address)
        looked_at.append(its_id.hex()[:_SHOWN_ID_DIGITS] or elf.name)
    ran = program_id.hex()[:_SHOWN_ID_DIGITS]
    here = f"the ELF here is {', '.join(looked_at)}" if looked_at else "there is no ELF here"
    return f"0x{address:08x} (no line: it ran build {ran}, and {here})"


def built_elfs() -> list[Path]:
    """The programs for chips that were built here, for whatever board."""
    return sorted((project_root() / ".pio" / "build").glob("*/firmware.elf"))


def _id_of(elf: Path) -> bytes:
    try:
        return build_id(elf)
    except (HilError, OSError, ELFError):  # one that is just being written, say
        return b""


def _place_in(elf: Path, address: int) -> str:
    functions = (each for each in symbols(elf) if each.is_code and 0 <= address - each.address < each.size_bytes)
    function = next((each.name for each in functions), None)
    with elf.open("rb") as stream:
        file = ELFFile(stream)
        line = _line_of(file.get_dwarf_info(), address) if file.has_dwarf_info() else None
    names = [*([function] if function else []), *([line] if line else [])]
    return f"{' at '.join(names)} (0x{address:08x})" if names else f"0x{address:08x} (in no function)"


def _line_of(dwarf: DWARFInfo, address: int) -> str | None:
    for unit in dwarf.iter_CUs():
        program = dwarf.line_program_for_CU(unit)
        if program is None:
            continue
        for first, last in _rows(program):
            if first.address <= address < last.address:
                return f"{_file_name(program, first.file)}:{first.line}"
    return None


def _rows(program: Any) -> Iterator[tuple[Any, Any]]:
    """Rows of a line table with those that end them. Functions that the linker dropped begin at 0, and are left out."""
    before = None
    for entry in program.get_entries():
        state = entry.state
        if state is None:
            continue
        if before is not None and before.address > 0:
            yield before, state
        before = None if state.end_sequence else state


def _file_name(program: Any, number: int) -> str:
    is_dwarf_5 = program.header["version"] >= 5  # where both tables count from 0, and number 0 is the unit's own
    file = program.header["file_entry"][number if is_dwarf_5 else number - 1]
    folders = program.header["include_directory"]
    index = file.dir_index if is_dwarf_5 else file.dir_index - 1
    folder = folders[index].decode() if 0 <= index < len(folders) else ""
    name = file.name.decode()
    path = name if name.startswith("/") else f"{folder}/{name}" if folder else name
    return path.removeprefix("./")
