"""Reads what the linker left in an ELF."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.dwarf.die import DIE
from elftools.elf.constants import SH_FLAGS
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import NoteSection, SymbolTableSection

from harness.errors import BuildFailed

RAM_ORIGIN = 0x20000000
"""Where its SRAM begins, likewise."""


@dataclass(frozen=True)
class Sizes:
    """How much of the chip's memory a program takes.

    Attributes:
        flash_bytes: code, constants and the initial values of variables.
        stack_bytes: reserved for the stack.
        variable_bytes: initialised and zeroed variables.
        arena_bytes: what is left of the RAM.
        store_bytes: flash behind the program, for a model that the RAM does not hold.
    """

    flash_bytes: int
    stack_bytes: int
    variable_bytes: int
    arena_bytes: int
    store_bytes: int

    @property
    def ram_bytes(self) -> int:
        """The RAM that is taken before any model is loaded."""
        return self.stack_bytes + self.variable_bytes


def build_id(path: Path) -> bytes:
    """The linker's build id: 20 bytes, a SHA-1 over the program.

    Raises:
        BuildFailed: the file has none, or is no ELF, as one that is being written.
    """
    with path.open("rb") as stream:
        try:
            for section in ELFFile(stream).iter_sections():
                if isinstance(section, NoteSection):
                    for note in section.iter_notes():
                        if note["n_type"] == "NT_GNU_BUILD_ID":
                            return bytes.fromhex(note["n_desc"])
        except ELFError as error:
            raise BuildFailed(f"{path} is no program: {error}", code="no_build_id", remedy="build it again") from error
    raise BuildFailed(f"{path} has no build id", code="no_build_id", remedy="link it with -Wl,--build-id=sha1")


def sizes(path: Path) -> Sizes:
    """What the chip's program takes of its memory.

    Args:
        path: the chip's ELF.
    """
    flash = stack = variables = 0
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        for section in elf.iter_sections():
            if not section["sh_flags"] & SH_FLAGS.SHF_ALLOC:
                continue
            size = int(section["sh_size"])
            is_stack = section.name == ".stack"
            is_variables = not is_stack and section["sh_addr"] >= RAM_ORIGIN
            stack += size * is_stack
            variables += size * is_variables
            flash += size * (section["sh_type"] != "SHT_NOBITS")
        symbols = elf.get_section_by_name(".symtab")
        assert isinstance(symbols, SymbolTableSection)
        arena, store = (_distance(symbols, f"ld_{name}_start", f"ld_{name}_end") for name in ("arena", "store"))
    return Sizes(flash, stack, variables, arena, store)


def _distance(symbols: SymbolTableSection, start: str, end: str) -> int:
    first, last = (symbols.get_symbol_by_name(name)[0]["st_value"] for name in (start, end))
    return int(last - first)


def symbol_names(path: Path) -> frozenset[str]:
    """The names of all symbols, defined and undefined."""
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return frozenset(symbol.name for symbol in table.iter_symbols() if symbol.name)


@dataclass(frozen=True)
class Symbol:
    """A function or a constant.

    Attributes:
        name: its name, which statics of several files may share.
        address: where it lies; of a function without the Thumb bit.
        size_bytes: its size.
        is_code: a function.
    """

    name: str
    address: int
    size_bytes: int
    is_code: bool


def symbols(path: Path) -> tuple[Symbol, ...]:
    """Functions and constants that a program or an object file defines."""
    with path.open("rb") as stream:
        table = ELFFile(stream).get_section_by_name(".symtab")
        assert isinstance(table, SymbolTableSection)
        return tuple(
            Symbol(symbol.name, symbol["st_value"] & ~1, symbol["st_size"], symbol["st_info"]["type"] == "STT_FUNC")
            for symbol in table.iter_symbols()
            if symbol["st_info"]["type"] in ("STT_FUNC", "STT_OBJECT")
            and symbol["st_size"] > 0
            and symbol["st_shndx"] != "SHN_UNDEF"
        )


def member_sizes(path: Path, struct: str) -> dict[str, int]:
    """Sizes of a C struct's members in bytes, padding behind each included, from the debug information.

    Args:
        path: the ELF.
        struct: name of its typedef.

    Raises:
        BuildFailed: there is no such struct.
    """
    with path.open("rb") as stream:
        elf = ELFFile(stream)
        units = elf.get_dwarf_info().iter_CUs() if elf.has_dwarf_info() else ()
        for unit in units:
            for entry in unit.iter_DIEs():
                if entry.tag == "DW_TAG_typedef" and _name_of(entry) == struct:
                    body = entry.get_DIE_from_attribute("DW_AT_type")
                    members = [child for child in body.iter_children() if child.tag == "DW_TAG_member"]
                    starts = [int(member.attributes["DW_AT_data_member_location"].value) for member in members]
                    ends = [*starts[1:], int(body.attributes["DW_AT_byte_size"].value)]
                    return {
                        _name_of(member): end - start for member, start, end in zip(members, starts, ends, strict=True)
                    }
    raise BuildFailed(f"{path} has no debug information of {struct}", code="no_debug_info")


def _name_of(entry: DIE) -> str:
    return str(entry.attributes["DW_AT_name"].value.decode()) if "DW_AT_name" in entry.attributes else ""


def linked_from(elf: Path, objects: Iterable[Path]) -> tuple[Symbol, ...]:
    """What the linker kept of these object files. Code and constants only, in flash."""
    wanted = {(symbol.name, symbol.size_bytes) for path in objects for symbol in symbols(path)}
    kept = {symbol for symbol in symbols(elf) if (symbol.name, symbol.size_bytes) in wanted}
    return tuple(sorted((symbol for symbol in kept if symbol.address < RAM_ORIGIN), key=lambda symbol: symbol.address))
