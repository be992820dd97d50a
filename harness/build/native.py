"""Compiles the firmware, and small test programs around it, for this machine, under ASan and UBSan.

What is made is kept under a hash of everything that it depends on, so the same thing is compiled once.
"""

from __future__ import annotations

import os
import shlex
import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from harness.build import recipe
from harness.build.cmsis import cmsis_dsp_dir
from harness.build.fingerprint import digest, files_under, tool_identity
from harness.build.paths import hil_command, project_root, work_dir
from harness.build.tools import failure_lines, run_tool
from harness.errors import BuildFailed, TargetUnavailable

_KEPT = 120
"""Products that are kept: more than a run of all tests makes. Those that were not used for longest go first."""

_BEING_MADE = "new-"
"""Begins the name of a folder on the shelf in which another process may be at work."""


def native_executable(replaced: Mapping[Path, str] | None = None) -> Path:
    """The whole firmware as a program of this machine.

    Args:
        replaced: C sources of the library, and the text to compile in place of each: for builds with a planted bug.

    Raises:
        TargetUnavailable: there is no C compiler.
        BuildFailed: it could not be compiled.
    """
    compiler = _compiler()
    sources = files_under(*_directories(recipe.load().host_sources), suffixes=(".c",))
    host = _kept("libhost.a", compiler, sources, lambda staging: staging.archive("libhost.a", sources))
    libraries = [host, _library(compiler)]
    planted = {path.relative_to(project_root()): text for path, text in (replaced or {}).items()}

    def link(staging: _Staging) -> Path:
        # What stands before a library takes the place of that library's own.
        return staging.link("firmware", [staging.plant(path, text) for path, text in planted.items()], libraries)

    return _kept("firmware", compiler, sources, link, [[str(path), text] for path, text in planted.items()])


def kept_executables() -> list[Path]:
    """The programs of this machine that are on the shelf, the one that was used last first; builds nothing."""
    made = (path for path in (work_dir() / "native").glob("*/firmware") if not path.parent.name.startswith(_BEING_MADE))
    return [path for path in sorted(made, key=_last_used_s, reverse=True) if path.is_file()]


def _last_used_s(product: Path) -> float:
    try:
        return product.parent.stat().st_mtime
    except FileNotFoundError:  # another process has just removed it
        return 0.0


def compile_host_tool(
    name: str,
    sources: Sequence[Path],
    defines: Sequence[str] = (),
    include_firmware_lib: bool = True,
    include_dirs: Sequence[str] = (),
) -> Path:
    """A small C program, compiled with the firmware's flags and include directories.

    Args:
        name: of the program.
        sources: its own C files.
        defines: additional macros, as "NAME" or "NAME=value"; they hold for the firmware's library too.
        include_firmware_lib: link what it uses of firmware/lib and CMSIS-DSP; its own sources come first.
        include_dirs: additional ones, relative to the project.

    Raises:
        TargetUnavailable: there is no C compiler.
        BuildFailed: it could not be compiled.
    """
    compiler = _compiler(defines, include_dirs)
    libraries = [_library(compiler)] if include_firmware_lib else []
    own = [path.resolve() for path in sources]
    return _kept(name, compiler, own, lambda staging: staging.link(name, own, libraries))


def compile_fuzzer(name: str, sources: Sequence[Path]) -> Path:
    """A C program with LLVMFuzzerTestOneInput, and all of firmware/lib, for clang's libFuzzer.

    Args:
        name: of the program.
        sources: its own C files.

    Raises:
        TargetUnavailable: there is no clang.
        BuildFailed: it could not be compiled.
    """
    compiler = _Compiler(("clang", "-fsanitize=fuzzer"), _identity("clang"), ())
    libraries = [_library(compiler)]
    own = [path.resolve() for path in sources]
    return _kept(name, compiler, own, lambda staging: staging.link(name, own, libraries))


@dataclass(frozen=True)
class _Compiler:
    argv: tuple[str, ...]
    identity: tuple[str | int, ...]
    defines: tuple[str, ...]
    include_dirs: tuple[str, ...] = ()

    @property
    def is_clang(self) -> bool:
        """As far as its name says."""
        return Path(self.argv[0]).name.startswith("clang")


@dataclass(frozen=True)
class _Staging:
    """A scratch directory in which everything is compiled.

    Links in it give all sources names that do not depend on where they lie: the sanitizers write source names into the
    program, past -ffile-prefix-map.
    """

    compiler: _Compiler
    directory: Path

    def link(self, name: str, sources: Sequence[Path], libraries: Sequence[Path]) -> Path:
        """Make a program."""
        parts = recipe.load()
        flags = [*parts.compile_flags(parts.host), *parts.host.link_flags]
        objects = self._objects(sources, parts.warning_flags)
        after = [f"-l{library}" for library in parts.host.libraries]
        self._run([*self.compiler.argv, *flags, "-o", name, *objects, *libraries, *after], f"link {name}")
        return self.directory / name

    def plant(self, path: Path, text: str) -> Path:
        """A source of other text than that of its place in the project."""
        planted = self.directory / "planted" / path
        planted.parent.mkdir(parents=True)
        planted.write_text(text, encoding="utf-8")
        return planted

    def archive(self, name: str, sources: Sequence[Path], cmsis_sources: Sequence[str] = ()) -> Path:
        """Make a library of our own sources, and of some of CMSIS-DSP."""
        parts = recipe.load()
        objects = self._objects(sources, parts.warning_flags)
        cmsis = [self.directory / "cmsis-dsp" / source for source in cmsis_sources]
        objects += self._objects(cmsis, parts.cmsis_dsp.flags)
        self._run(["ar", "rcsD", name, *objects], f"make {name}")
        return self.directory / name

    def _objects(self, sources: Sequence[Path], flags: Sequence[str]) -> list[str]:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            return list(pool.map(lambda source: self._object(self._staged(source), flags), sources))

    def _object(self, source: Path, flags: Sequence[str]) -> str:
        parts = recipe.load()
        argv = [*self.compiler.argv, *parts.compile_flags(parts.host), *flags]
        argv += parts.path_flags({self.directory: "."}, by_clang=self.compiler.is_clang)
        argv += [f'-D{name}="{value}"' for name, value in parts.program_macros(parts.host).items()]
        argv += [f"-D{define}" for define in (*parts.cmsis_dsp.defines, *self.compiler.defines)]
        argv += [f"-I{directory}" for directory in (*parts.include_dirs, *self.compiler.include_dirs)]
        for directory in parts.cmsis_dsp.include_dirs:
            argv += ["-isystem", f"cmsis-dsp/{directory}"]
        name = "_".join(source.parts).lstrip("/_") + ".o"
        self._run([*argv, "-c", str(source), "-o", name], f"compile {source}")
        return name

    def _staged(self, source: Path) -> Path:
        firmware = project_root() / "firmware"
        if source.is_relative_to(firmware):
            return Path("firmware") / source.relative_to(firmware)
        return source.relative_to(self.directory) if source.is_relative_to(self.directory) else source

    def _run(self, argv: Sequence[str | Path], what: str) -> None:
        status, output = run_tool(argv, what=what, cwd=self.directory)
        if status != 0:
            raise BuildFailed(
                f"could not {what} for this machine:\n{failure_lines(output)}",
                remedy="the lines above are the compiler's",
            )


def _compiler(defines: Sequence[str] = (), include_dirs: Sequence[str] = ()) -> _Compiler:
    argv = shlex.split(os.environ.get("CC", "")) or ["gcc"]
    return _Compiler(tuple(argv), _identity(argv[0]), tuple(defines), tuple(include_dirs))


def _identity(program: str) -> tuple[str | int, ...]:
    identity = tool_identity(program)
    if identity is None:
        raise TargetUnavailable(f"there is no {program}", code="no_compiler", remedy=f"run `{hil_command()} setup`")
    return tuple(identity)


def _library(compiler: _Compiler) -> Path:
    """All that is the same on every machine, and CMSIS-DSP."""
    parts = recipe.load()
    sources = files_under(*_directories(parts.library_sources), suffixes=(".c",))

    def archive(staging: _Staging) -> Path:
        return staging.archive("libfirmware.a", sources, parts.cmsis_dsp.sources)

    return _kept("libfirmware.a", compiler, [], archive)


def _kept(
    name: str,
    compiler: _Compiler,
    sources: Sequence[Path],
    make: Callable[[_Staging], Path],
    further: Sequence[Sequence[str]] = (),
) -> Path:
    """The product of this name made from these sources and further facts, from the shelf or by `make`."""
    parts = recipe.load()
    shelf = work_dir() / "native"
    shelf.mkdir(exist_ok=True)
    # All of the firmware, also where a product needs less: a test program may include whatever it likes.
    files = {*files_under(project_root() / "firmware", suffixes=(".c", ".h", ".json")), *sources}
    facts: list[Any] = [name, compiler.argv, compiler.identity, compiler.defines, compiler.include_dirs]
    facts += [parts.program_macros(parts.host), *further]
    product = shelf / digest(sorted(files), facts)[:16] / name
    with FileLock(shelf / "lock"):
        if product.is_file():
            os.utime(product.parent)
            return product
        with tempfile.TemporaryDirectory(dir=shelf, prefix=_BEING_MADE) as scratch:
            staging = _Staging(compiler, Path(scratch))
            (staging.directory / "firmware").symlink_to(project_root() / "firmware")
            (staging.directory / "cmsis-dsp").symlink_to(cmsis_dsp_dir())
            made = make(staging)
            new = staging.directory / "new"
            new.mkdir()
            made.rename(new / name)
            new.rename(product.parent)
        _forget_oldest(shelf)
    return product


def _forget_oldest(shelf: Path) -> None:
    by_use = sorted((path for path in shelf.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    for path in by_use[:-_KEPT]:
        shutil.rmtree(path, ignore_errors=True)


def _directories(names: Sequence[str]) -> list[Path]:
    return [project_root() / name for name in names]
