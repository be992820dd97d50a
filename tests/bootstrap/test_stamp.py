"""The stamp: which .venv is finished, which can be updated, which must be made anew."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bootstrap_fakes import Project
from harness.bootstrap import stamp


@pytest.fixture
def root(project: Project) -> str:
    """A project whose .venv is finished."""
    bin_folder = project.root / ".venv" / "bin"
    bin_folder.mkdir(parents=True)
    (bin_folder / "python").symlink_to(sys.executable)
    (bin_folder / "hil").touch()
    stamp.write(str(project.root), dev=False)
    return str(project.root)


def test_finished(root: str) -> None:
    assert stamp.is_satisfied(root, dev=False)
    assert not stamp.is_satisfied(root, dev=True)
    assert stamp.can_update_in_place(root)


def test_the_development_tools_include_the_rest(root: str) -> None:
    stamp.write(root, dev=True)
    assert stamp.is_satisfied(root, dev=True)
    assert stamp.is_satisfied(root, dev=False)


@pytest.mark.parametrize("name", ["pyproject.toml", "requirements/run.lock"])
def test_changed_locks(root: str, name: str) -> None:
    Path(root, name).write_text("# changed\n")
    assert not stamp.is_satisfied(root, dev=False)
    assert stamp.can_update_in_place(root)


def test_removed(root: str) -> None:
    stamp.remove(root)
    stamp.remove(root)
    assert not stamp.is_satisfied(root, dev=False)
    assert not stamp.can_update_in_place(root)


def test_garbage_is_no_stamp(root: str) -> None:
    Path(root, ".venv", "hil-stamp").write_bytes(b"\xff\x00\nlayout")
    assert not stamp.is_satisfied(root, dev=False)
    assert not stamp.can_update_in_place(root)


def test_another_layout(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stamp, "LAYOUT", "0")
    assert not stamp.is_satisfied(root, dev=False)
    assert not stamp.can_update_in_place(root)


def test_another_python(root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 99, 0))
    assert not stamp.is_satisfied(root, dev=False)
    assert not stamp.can_update_in_place(root)


def test_an_interpreter_that_became_another_one(root: str, tmp_path: Path) -> None:
    upgraded = tmp_path / "python3.99"
    upgraded.touch()
    os.unlink(stamp.venv_python(root))
    os.symlink(upgraded, stamp.venv_python(root))
    assert not stamp.is_satisfied(root, dev=False)
    assert not stamp.can_update_in_place(root)


def test_a_missing_program(root: str) -> None:
    os.unlink(stamp.venv_script(root))
    assert not stamp.is_satisfied(root, dev=False)
