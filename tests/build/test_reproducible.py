"""The same sources and compiler make the same program, wherever they lie."""

from __future__ import annotations

from pathlib import Path

from build_helpers import TreeCopy
from harness.build.elf import build_id
from harness.build.paths import project_root


def test_chip_elf(chip_elf: Path, tree_copy: TreeCopy) -> None:
    elsewhere = tree_copy.build("platformio", "firmware_elf")
    assert elsewhere != chip_elf
    assert build_id(elsewhere) == build_id(chip_elf)


def test_native_program(native_program: Path, tree_copy: TreeCopy) -> None:
    elsewhere = tree_copy.build("native", "native_executable")
    assert elsewhere != native_program
    assert build_id(elsewhere) == build_id(native_program)


def test_no_path_of_this_machine_is_in_the_programs(chip_elf: Path, native_program: Path) -> None:
    for program in (chip_elf, native_program):
        assert str(project_root()).encode() not in program.read_bytes()


def test_a_change_of_the_sources_is_another_program(native_program: Path, tree_copy: TreeCopy) -> None:
    unchanged = tree_copy.build("native", "native_executable")
    main = tree_copy.root / "firmware" / "src" / "main.c"
    main.write_text(main.read_text().replace("int main(void) {", "int main(void) {\n    (void)board_ticks();"))
    changed = tree_copy.build("native", "native_executable")
    assert changed != unchanged
    assert build_id(changed) != build_id(unchanged)
