"""Fakes for the bootstrap: programs in a PATH of their own, and a project that can be set up in no time."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from bootstrap_fakes import APT_GET, FAKE_PYTHON, ROOT, FakePrograms, Project
from harness.bootstrap import apt


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """An empty PATH but for what /bin/sh scripts cannot do without."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("env", "cp", "cat", "rm", "true"):
        (folder / name).symlink_to(str(shutil.which(name)))
    monkeypatch.setenv("PATH", str(folder))
    return FakePrograms(folder)


@pytest.fixture
def debian(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """A Debian where we are root, with its package lists, with no compiler and no emulator."""
    version = tmp_path / "debian_version"
    version.write_text("12\n")
    monkeypatch.setattr(apt, "DEBIAN_VERSION", version)
    monkeypatch.setattr(apt, "OS_RELEASE", tmp_path / "nothing")
    monkeypatch.setattr(apt, "LOCK_POLL_S", 0.01)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    programs.add("apt-get", APT_GET.format(folder=programs.folder))
    (programs.folder / ".lists").touch()
    packages = programs.folder / ".packages"
    packages.mkdir()
    for package, program in (("gcc-arm-none-eabi", "arm-none-eabi-gcc"), ("qemu-system-arm", "qemu-system-arm")):
        (packages / package).write_text("#!/bin/sh\nexit 0\n")
        (packages / package).chmod(0o755)
        (packages / f"{package}.name").write_text(program)
    return programs


@pytest.fixture
def other_system(programs: FakePrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakePrograms:
    """Not a Debian."""
    monkeypatch.setattr(apt, "DEBIAN_VERSION", tmp_path / "nothing")
    os_release = tmp_path / "os-release"
    os_release.write_text('NAME="Fedora Linux"\nID=fedora\n')
    monkeypatch.setattr(apt, "OS_RELEASE", os_release)
    return programs


@pytest.fixture
def project(tmp_path: Path) -> Project:
    root = tmp_path / "a project"
    (root / "harness").mkdir(parents=True)
    for name in ("hil", "pyproject.toml", "harness/__init__.py", "harness/endings.py", "harness/errors.py"):
        shutil.copy(ROOT / name, root / name)
    for folder in ("requirements", "harness/bootstrap"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    home = tmp_path / "home"
    home.mkdir()
    (home / "python").write_text(FAKE_PYTHON)
    (home / "python").chmod(0o755)
    return Project(root, home)


@pytest.fixture
def said() -> list[str]:
    """What was said through its `append`."""
    return []
