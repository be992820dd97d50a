"""What firmware/build.json says, as objects.

Standard library only: see the package.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness import __version__
from harness.build.paths import project_root


@dataclass(frozen=True)
class Variant:
    """What is particular to the firmware of one kind of machine.

    Attributes:
        code_flags: compiler flags that can change what the program computes or how fast.
        build_flags: compiler flags that cannot.
        link_flags: what the linker needs beside the compiler flags.
        libraries: names for -l.
    """

    code_flags: tuple[str, ...]
    build_flags: tuple[str, ...]
    link_flags: tuple[str, ...]
    libraries: tuple[str, ...]


@dataclass(frozen=True)
class CmsisDsp:
    """Which CMSIS-DSP, and what of it.

    Attributes:
        distribution: its name as a Python package; the source distribution holds the C sources.
        version: of that package.
        sha256: of that source distribution.
        defines: macros, for whoever includes its headers too.
        flags: compiler flags for its own sources, after ours.
        include_dirs: relative to it.
        sources: relative to it.
    """

    distribution: str
    version: str
    sha256: str
    defines: tuple[str, ...]
    flags: tuple[str, ...]
    include_dirs: tuple[str, ...]
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Recipe:
    """How the firmware is compiled.

    Attributes:
        include_dirs: where our headers are; relative to the project, like all paths here.
        library_sources: directories whose C files, at any depth, are the same on every machine.
        code_flags: as in Variant, for all machines.
        build_flags: likewise.
        warning_flags: for our own sources.
        target: the chip's firmware.
        host: the same as a process of this machine.
        host_sources: directories whose C files make that process, with the library's.
        cmsis_dsp: the library that both need.
    """

    include_dirs: tuple[str, ...]
    library_sources: tuple[str, ...]
    code_flags: tuple[str, ...]
    build_flags: tuple[str, ...]
    warning_flags: tuple[str, ...]
    target: Variant
    host: Variant
    host_sources: tuple[str, ...]
    cmsis_dsp: CmsisDsp

    def machine_flags(self, variant: Variant) -> list[str]:
        """The flags that compiler and linker must both get."""
        return [*self.code_flags, *variant.code_flags]

    def compile_flags(self, variant: Variant) -> list[str]:
        """The flags for every source, but for warnings and paths."""
        return [*self.machine_flags(variant), *self.build_flags, *variant.build_flags]

    def program_macros(self, variant: Variant, board: str = "") -> dict[str, str]:
        """The string macros with which the firmware tells what it is.

        Args:
            variant: for what kind of machine.
            board: for which board; empty for a process.
        """
        flags = " ".join(self.machine_flags(variant))
        return {"FIRMWARE_VERSION": __version__, "FIRMWARE_FLAGS": flags, "FIRMWARE_BOARD": board}

    def path_flags(self, names: Mapping[Path, str], *, by_clang: bool = False) -> list[str]:
        """Flags that keep directories of this machine out of the program, so that it is the same wherever it is made.

        Args:
            names: what to write instead of a directory; a directory inside another one stands after it.
            by_clang: the compiler is clang.
        """
        maps = [f"-ffile-prefix-map={directory}={name}" for directory, name in names.items()]
        # GCC would write where a link leads to, if that is shorter; clang does not, and knows no such flag.
        return maps if by_clang else [*maps, "-fno-canonical-system-headers"]


@cache
def load() -> Recipe:
    """The recipe of this tree."""
    data: dict[str, Any] = json.loads(recipe_path().read_text(encoding="utf-8"))
    cmsis = data["cmsis_dsp"]
    return Recipe(
        include_dirs=tuple(data["include_dirs"]),
        library_sources=tuple(data["library_sources"]),
        code_flags=tuple(data["code_flags"]),
        build_flags=tuple(data["build_flags"]),
        warning_flags=tuple(data["warning_flags"]),
        target=_variant(data["target"]),
        host=_variant(data["host"]),
        host_sources=tuple(data["host"]["sources"]),
        cmsis_dsp=CmsisDsp(
            distribution=cmsis["distribution"],
            version=cmsis["version"],
            sha256=cmsis["sha256"],
            defines=tuple(cmsis["defines"]),
            flags=tuple(cmsis["flags"]),
            include_dirs=tuple(cmsis["include_dirs"]),
            sources=tuple(cmsis["sources"]),
        ),
    )


def recipe_path() -> Path:
    """The file that states it all."""
    return project_root() / "firmware" / "build.json"


def _variant(data: dict[str, Any]) -> Variant:
    # Iterating one of these objects gives the flags; its values are the reasons, for people.
    return Variant(
        code_flags=tuple(data["code_flags"]),
        build_flags=tuple(data["build_flags"]),
        link_flags=tuple(data["link_flags"]),
        libraries=tuple(data["libraries"]),
    )
