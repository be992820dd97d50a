from __future__ import annotations

import re
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from harness.build.elf import build_id, sizes, symbol_names, symbols
from harness.build.platformio import firmware_elf

KIB = 1024

DOUBLE_HELPER = re.compile(r"__aeabi_(d|[a-z]+2d)|__\w*df[23]?$")
"""What the compiler calls for arithmetic with doubles, which this chip's FPU cannot do."""

FORBIDDEN = {
    *("malloc", "free", "calloc", "realloc", "_malloc_r", "_sbrk", "sbrk"),
    *("printf", "puts", "sprintf", "snprintf", "_printf_float", "abort", "exit", "__libc_init_array"),
    *("expf", "exp2f", "tanhf", "logf", "powf", "sqrtf", "__ieee754_expf", "__ieee754_sqrtf", "__expm1f"),
}


def test_fits_in_flash_sectors_0_to_3(chip_elf: Path) -> None:
    assert 0 < sizes(chip_elf).flash_bytes <= 64 * KIB


def test_leaves_an_arena_of_100_kib_or_more(chip_elf: Path) -> None:
    taken = sizes(chip_elf)
    assert taken.arena_bytes >= 100 * KIB
    assert taken.arena_bytes % 8 == 0
    assert taken.ram_bytes + taken.arena_bytes <= 128 * KIB
    assert taken.stack_bytes == 4 * KIB


def test_needs_neither_heap_nor_stdio_nor_libm(chip_elf: Path) -> None:
    assert symbol_names(chip_elf) & FORBIDDEN == set()


def test_computes_nothing_in_double(chip_elf: Path) -> None:
    assert [name for name in symbol_names(chip_elf) if DOUBLE_HELPER.match(name)] == []


@pytest.mark.parametrize("name", ["__aeabi_dmul", "__aeabi_f2d", "__adddf3", "__ltdf2"])
def test_double_helpers_would_be_found(name: str) -> None:
    assert DOUBLE_HELPER.match(name)


def test_is_not_built_again_without_a_change(chip_elf: Path) -> None:
    said: list[str] = []
    id_before = build_id(chip_elf)
    assert firmware_elf(said.append) == chip_elf
    assert said == []
    assert build_id(chip_elf) == id_before


def test_the_record_of_a_fault_lies_where_nothing_is_filled_at_a_reset(chip_elf: Path) -> None:
    """Start-up zeroes .bss, an emulator fills what a segment covers, and images are loaded into the arena."""
    with chip_elf.open("rb") as stream:
        elf = ELFFile(stream)
        section = elf.get_section_by_name(".noinit")
        table = elf.get_section_by_name(".symtab")
        bss_end, arena_start = (
            table.get_symbol_by_name(f"ld_{name}")[0]["st_value"] for name in ("bss_end", "arena_start")
        )
        segments = [(s["p_vaddr"], s["p_vaddr"] + s["p_memsz"]) for s in elf.iter_segments()]
    (kept,) = [each for each in symbols(chip_elf) if each.name == "kept"]
    start, end = kept.address, kept.address + kept.size_bytes
    assert section["sh_type"] == "SHT_NOBITS"
    assert bss_end <= section["sh_addr"] <= start < end <= section["sh_addr"] + section["sh_size"] <= arena_start
    assert not [segment for segment in segments if segment[0] < end and start < segment[1]]
