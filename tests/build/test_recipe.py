from __future__ import annotations

import configparser
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build import recipe
from harness.build.cmsis import cmsis_dsp_dir
from harness.build.paths import project_root

PARTS = recipe.load()
VARIANTS = [PARTS.target, PARTS.host]

FIRMWARE = [
    path for name in ("lib", "port", "src") for path in sorted((project_root() / "firmware" / name).rglob("*.[ch]"))
]

POISON = re.compile(
    r"\b(malloc|calloc|realloc|free|alloca|printf|sprintf|snprintf|puts|double|goto|__FILE__|__DATE__)\b"
)

COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


@pytest.mark.parametrize("variant", VARIANTS, ids=["target", "host"])
def test_flags_keep_the_arithmetic_strict(variant: recipe.Variant) -> None:
    flags = PARTS.compile_flags(variant)
    assert {"-O2", "-ffp-contract=off"} <= set(flags)
    assert not any("fast" in flag or "unsafe" in flag for flag in flags)
    assert len(flags) == len(set(flags))


@pytest.mark.parametrize("variant", VARIANTS, ids=["target", "host"])
def test_flags_text_fits_in_the_greeting(variant: recipe.Variant) -> None:
    assert len(PARTS.program_macros(variant)["FIRMWARE_FLAGS"]) < 160  # compiler_flags of HELLO's reply, with its NUL


def test_everything_that_it_names_is_there() -> None:
    root = project_root()
    for name in (*PARTS.include_dirs, *PARTS.library_sources, *PARTS.host_sources):
        assert (root / name).is_dir(), name
    for name in (*PARTS.cmsis_dsp.include_dirs, *PARTS.cmsis_dsp.sources):
        assert (cmsis_dsp_dir() / name).exists(), name


def test_platformio_builds_the_same_library_with_pinned_packages() -> None:
    ini = configparser.ConfigParser()
    ini.read(project_root() / "platformio.ini")
    section = ini["env"]
    assert re.fullmatch(r"platformio/ststm32@\d+\.\d+\.\d+", section["platform"])
    assert re.fullmatch(r"platformio/toolchain-gccarmnoneeabi@~1\.\d+\.\d+", section["platform_packages"])
    assert "../lib/" in section["build_src_filter"]
    assert (project_root() / section["board_build.ldscript"]).is_file()


def test_platformio_can_read_it_with_nothing_installed() -> None:
    code = f"import sys; sys.path.insert(0, {str(project_root())!r}); from harness.build import cmsis, recipe"
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True)


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.name)
def test_no_heap_no_stdio_no_double(path: Path) -> None:
    assert POISON.findall(COMMENT.sub("", path.read_text())) == []


@pytest.mark.parametrize("path", FIRMWARE, ids=lambda path: path.name)
def test_files_stay_readable_in_one_sitting(path: Path) -> None:
    assert path.name == "wire_defs.h" or len(path.read_text().splitlines()) < 300
