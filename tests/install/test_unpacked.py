"""The copy of an installed package's sources in the user's cache."""

from __future__ import annotations

import ast
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build import installed
from harness.errors import TargetUnavailable
from installation import ROOT


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A package that may only be read, with compiled files beside the sources, as pip leaves them."""
    package = tmp_path / "harness"
    shutil.copytree(ROOT / "harness" / "build", package / "build")
    for path in (ROOT / "harness").glob("*.py"):
        shutil.copy(path, package)
    carried = package / installed.CARRIED
    (carried / "firmware" / "__pycache__").mkdir(parents=True)
    (carried / "firmware" / "main.c").write_text("int main(void);\n")
    (carried / "firmware" / "__pycache__" / "x.pyc").touch()
    (carried / "platformio.ini").write_text("[platformio]\n")
    (carried / "platformio.ini").chmod(0o444)
    (carried / "firmware").chmod(0o555)
    return package


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(sys, "platform", "linux")
    installed.unpacked.cache_clear()
    return tmp_path / "cache" / "lstm-hil"


def test_is_a_small_clone_that_can_be_written(package: Path, caches: Path) -> None:
    home = installed.unpacked(package)
    assert home.parent == caches
    found = {path.relative_to(home).as_posix() for path in home.rglob("*") if path.is_file()}
    modules = {f"harness/build/{path.name}" for path in (ROOT / "harness" / "build").glob("*.py")}
    own = {f"harness/{name}.py" for name in ("__init__", "endings", "errors", "processes")}
    assert found == {"platformio.ini", "firmware/main.c", *own, *modules}
    for path in home.rglob("*"):
        assert path.stat().st_mode & stat.S_IWUSR, path


def test_has_all_that_platformio_imports_of_it(package: Path, caches: Path) -> None:
    """In a Python that has nothing but its standard library."""
    script = ast.parse((ROOT / "firmware" / "platformio" / "extra_script.py").read_text())
    imports = [
        ast.unparse(node)
        for node in ast.walk(script)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("harness")
    ]
    assert imports
    code = f"import sys; sys.path.insert(0, {str(installed.unpacked(package))!r}); {'; '.join(imports)}"
    done = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_is_made_once_for_one_content(package: Path, caches: Path) -> None:
    home = installed.unpacked(package)
    (home / "built").touch()
    installed.unpacked.cache_clear()
    assert installed.unpacked(package) == home
    assert (home / "built").exists()


@pytest.mark.parametrize("name", ["_project/platformio.ini", "build/recipe.py"])
def test_another_content_lies_elsewhere(package: Path, caches: Path, name: str) -> None:
    home = installed.unpacked(package)
    (package / name).chmod(0o644)
    (package / name).write_text("# changed\n")
    installed.unpacked.cache_clear()
    assert installed.unpacked(package) != home


def test_many_at_once_make_one(package: Path, caches: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from harness.build import installed; sys.stdin.read();"
        f"print(installed.unpacked(Path({str(package)!r})))"
    )
    argv = [sys.executable, "-c", code]
    starter, start = os.pipe()
    pipe = subprocess.PIPE
    processes = [subprocess.Popen(argv, stdin=starter, stdout=pipe, text=True, cwd=ROOT) for _ in range(6)]
    os.close(starter)
    os.close(start)
    homes = {process.communicate()[0] for process in processes}
    assert all(process.returncode == 0 for process in processes)
    assert len(homes) == 1
    assert [path.name for path in caches.iterdir()] == [Path(homes.pop().strip()).name], "and nothing half done"


def test_yields_to_a_process_that_was_faster(package: Path, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def late(source: Path, target: Path) -> None:
        shutil.copytree(source, target)
        (target / "built by the other").touch()
        rename(source, target)

    monkeypatch.setattr(os, "rename", late)
    home = installed.unpacked(package)
    assert (home / "built by the other").exists()
    assert list(caches.iterdir()) == [home], "and nothing half done"


def test_a_cache_that_cannot_be_written_is_named(package: Path, caches: Path) -> None:
    caches.parent.write_text("in the way\n")
    with pytest.raises(TargetUnavailable, match=str(caches)) as caught:
        installed.unpacked(package)
    assert caught.value.code == "cache_not_writable"
