"""The bootstrap runs before anything is installed, and before anything else: what it may import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap_fakes import ROOT

MODULES = sorted((ROOT / "harness" / "bootstrap").glob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide what is imported"
            names.add(node.module or "")
    return names


BESIDE = [ROOT / "harness" / name for name in ("endings.py", "errors.py", "__init__.py")]


@pytest.mark.parametrize("path", [*MODULES, *BESIDE])
def test_imports_the_standard_library_and_itself_only(path: Path) -> None:
    for name in imported(path):
        ours = name in {"harness.endings", "harness.errors"} or name.startswith("harness.bootstrap")
        assert ours or name.partition(".")[0] in sys.stdlib_module_names, name


def run_bare(code: str) -> str:
    """Run code in a Python without site-packages."""
    prepare = f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", prepare + code], capture_output=True, text=True, check=True
    )
    return done.stdout


def test_works_with_nothing_installed() -> None:
    assert (
        "pip"
        in run_bare("from harness.bootstrap import environment; print(environment.environment_for_pip({}))").lower()
    )


def test_every_start_imports_little() -> None:
    loaded = run_bare("import harness.bootstrap.launch; print(*sys.modules)").split()
    heavy = {"dataclasses", "enum", "harness.errors", "inspect", "json", "pathlib", "re", "subprocess", "typing"}
    assert not heavy & set(loaded)
