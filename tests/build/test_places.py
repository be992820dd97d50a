"""Addresses as places in the source: what addr2line of the chip's toolchain says, and nothing of another program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from harness.build.elf import build_id, symbols
from harness.build.places import locate


def test_the_places_are_those_of_addr2line(chip_elf: Path) -> None:
    addr2line = shutil.which("arm-none-eabi-addr2line")
    if addr2line is None:
        pytest.skip("there is no arm-none-eabi-addr2line")
    functions = [each for each in symbols(chip_elf) if each.is_code and each.size_bytes >= 8][::9]
    addresses = [each.address + each.size_bytes // 2 & ~1 for each in functions]
    argv = [addr2line, "-e", str(chip_elf), *map(hex, addresses)]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    compared = 0
    for function, address, line in zip(functions, addresses, said, strict=True):
        place = locate(build_id(chip_elf), address, [chip_elf])
        assert place.startswith(function.name)
        assert place.endswith(f"(0x{address:08x})")
        if not line.startswith("?"):
            path, _, number = line.split(" ")[0].rpartition(":")
            assert f" at {path.removeprefix('./')}:{number} " in place
            compared += 1
    assert compared > len(functions) / 2


def test_another_program_has_no_line_here(chip_elf: Path) -> None:
    place = locate(b"\x12" * 20, 0x08000200, [chip_elf])
    ours = build_id(chip_elf).hex()[:12]
    assert place == f"0x08000200 (no line: it ran build 121212121212, and the ELF here is {ours})"
    assert locate(b"\x12" * 20, 0x08000200, []).endswith("and there is no ELF here)")


def test_what_is_no_elf_or_no_code_is_no_place(chip_elf: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.elf"
    damaged.write_bytes(chip_elf.read_bytes()[:100])
    assert locate(build_id(chip_elf), 0x20000000, [damaged, chip_elf]) == "0x20000000 (in no function)"
    damaged.write_bytes(b"no ELF")
    assert "no line" in locate(build_id(chip_elf), 0x08000200, [damaged, tmp_path / "absent.elf"])
