"""What a user lacks who may not open a port: told by the port's own owner, group and mode."""

from __future__ import annotations

import grp
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.transport import rights

GROUP = 4242


def pretend(monkeypatch: pytest.MonkeyPatch, path: Path, group: int, mode: int) -> None:
    """Let a file pass for a port of this group and mode."""
    real = os.stat

    def stat(name: Any, **options: Any) -> Any:
        if name == str(path):
            return SimpleNamespace(st_uid=0, st_gid=group, st_mode=mode)
        return real(name, **options)

    monkeypatch.setattr(os, "stat", stat)


@pytest.fixture
def port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A port of the group dialout, of which this user is no member."""
    path = tmp_path / "ttyACM0"
    path.touch()
    pretend(monkeypatch, path, GROUP, 0o20660)
    monkeypatch.setattr(os, "getgroups", lambda: [1000])
    monkeypatch.setattr(rights, "user_name", lambda: "ann")
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name="dialout", gr_mem=[]))
    return path


def test_no_member_of_the_group(port: Path) -> None:
    assert rights.owner_of(str(port)) == "root:dialout, mode 660"
    assert "`sudo usermod -aG dialout ann`, then log out and in again" in rights.how_to_open(str(port))


def test_a_member_since_after_the_session_began(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grp, "getgrgid", lambda number: SimpleNamespace(gr_name="dialout", gr_mem=["ann"]))
    advice = rights.how_to_open(str(port))
    assert "log out and in again" in advice
    assert "usermod" not in advice


def test_a_member_whom_something_else_forbids(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getgroups", lambda: [1000, GROUP])
    assert "container" in rights.how_to_open(str(port))


@pytest.mark.parametrize(("group", "mode"), [(GROUP, 0o20600), (0, 0o20660)])
def test_a_port_of_no_group_that_people_are_in(
    port: Path, monkeypatch: pytest.MonkeyPatch, group: int, mode: int
) -> None:
    pretend(monkeypatch, port, group, mode)
    assert "udev rule" in rights.how_to_open(str(port))


def test_a_port_that_has_just_gone() -> None:
    assert rights.owner_of("/dev/there_is_no_such_port") == ""
    assert "dialout" in rights.how_to_open("/dev/there_is_no_such_port")


def test_groups_without_a_name(port: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(grp, "getgrgid", unknown)
    assert rights.owner_of(str(port)) == f"root:{GROUP}, mode 660"
    assert f"-aG {GROUP} ann" in rights.how_to_open(str(port))
