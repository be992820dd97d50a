"""What the wheel and the source distribution hold, and what the package says it needs."""

from __future__ import annotations

import ast
import importlib.metadata
import sys
import zipfile
from email import message_from_string
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from installation import ROOT

CARRIED_IN = "harness/_project/"


def carried_files() -> dict[str, bytes]:
    firmware = [path for path in (ROOT / "firmware").rglob("*") if path.is_file() and path.suffix != ".pyc"]
    digits = [ROOT / "examples" / "digits" / name for name in ("digits.keras", "heldout.npz")]
    files = [ROOT / "platformio.ini", *firmware, *digits]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in files}


def test_the_wheel_carries_the_sources_as_they_are(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = [name for name in wheel.namelist() if name.startswith(CARRIED_IN)]
        assert {name.removeprefix(CARRIED_IN): wheel.read(name) for name in names} == carried_files()


def test_the_wheel_holds_the_package_with_its_data_and_nothing_else(built: tuple[Path, Path]) -> None:
    with zipfile.ZipFile(built[1]) as wheel:
        names = {name for name in wheel.namelist() if not name.startswith(CARRIED_IN) and ".dist-info/" not in name}
    ours = (path for path in (ROOT / "harness").rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert names == {path.relative_to(ROOT).as_posix() for path in ours}


def test_every_import_is_a_declared_dependency(built: tuple[Path, Path]) -> None:
    """The other tests here see all packages of this environment; this one sees what pip would not have installed."""
    with zipfile.ZipFile(built[1]) as wheel:
        (metadata,) = (wheel.read(name).decode() for name in wheel.namelist() if name.endswith("/METADATA"))
    required = [Requirement(line) for line in message_from_string(metadata).get_all("Requires-Dist", [])]
    # What a user chooses (`pip install lstm-hil[dask]`) is imported where it is used; our own tools are not.
    declared = {canonicalize_name(needed.name) for needed in required if 'extra == "dev"' not in str(needed.marker)}
    outside = imports_of_the_package() - {"harness", *sys.stdlib_module_names}
    assert {"numpy", "typer"} <= outside
    packages = importlib.metadata.packages_distributions()
    undeclared = {name for name in outside if not declared & {canonicalize_name(p) for p in packages.get(name, [name])}}
    assert undeclared <= BROUGHT_BY_OTHERS, undeclared


BROUGHT_BY_OTHERS = {"keras"}
"""Required in turn by a declared dependency: by TensorFlow."""


def imports_of_the_package() -> set[str]:
    names = set()
    for path in (ROOT / "harness").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").partition(".")[0])
    return names
