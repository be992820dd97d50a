from __future__ import annotations

import re
from pathlib import Path

import pytest

from harness.build.elf import build_id, sizes, symbol_names
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
