"""What a build id leads to, and the commit of a folder."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest

from harness.bootstrap.system import missing_parts
from harness.build import commit, native, program
from harness.build.elf import build_id
from harness.build.native import native_executable


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    commit._commit_of.cache_clear()
    return tmp_path


def git(*arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", *identity, *arguments], check=True, capture_output=True, text=True).stdout.strip()


def test_a_process_is_known_by_its_build_id() -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    executable = native_executable()
    facts = program.program_facts(build_id(executable), "")
    assert facts is not None
    assert facts["elf_sha256"] == hashlib.sha256(executable.read_bytes()).hexdigest()
    assert facts["cmsis_dsp"].count(".") == 2
    assert facts["flash_bytes"] is None, "a process has no flash"


def test_what_another_process_is_just_linking_is_not_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(native, "work_dir", lambda: tmp_path)
    for folder in ("new-ab12", "ab12"):
        half = tmp_path / "native" / folder / "firmware"
        half.parent.mkdir(parents=True)
        half.write_bytes(bytes(100))
    assert [path.parent.name for path in native.kept_executables()] == ["ab12"]
    program.program_facts.cache_clear()
    assert program.program_facts(bytes(20), "") is None, "no ELF at all"


def test_what_was_not_built_here_is_not_known() -> None:
    assert program.program_facts(bytes(20), "") is None
    assert program.program_facts(bytes(20), "nucleo_f446re") is None
    assert program.program_facts(bytes(20), "../../etc") is None


def test_a_commit_is_dirty_when_a_file_of_it_has_changed(here: Path) -> None:
    git("init", "-q")
    assert commit.commit_here() is None, "nothing was committed"
    (here / "model").write_text("1")
    git("add", "model")
    git("commit", "-qm", "first")
    for content, is_dirty in (("1", False), ("2", True)):
        (here / "model").write_text(content)
        commit._commit_of.cache_clear()
        assert commit.commit_here() == {"commit": git("rev-parse", "HEAD"), "dirty": is_dirty}


def test_outside_of_git_there_is_no_commit(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(here.parent))
    assert commit.commit_here() is None
    monkeypatch.setenv("PATH", "")
    commit._commit_of.cache_clear()
    assert commit.commit_here() is None, "and none without git"
