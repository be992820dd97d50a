"""System parts: what is there, what is missing, and getting it, with a fake apt-get and a fake sudo."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from bootstrap_fakes import FakePrograms
from harness.bootstrap import apt, system
from harness.bootstrap.system import PARTS, ensure_system_parts, missing_parts
from harness.errors import ExitCode, TargetUnavailable
from harness.findings import BY_ID

CROSS = ("gcc-arm-none-eabi", "qemu-system-arm")
SUDO = 'shift; exec "$@"'
SUDO_ASKS = "echo 'sudo: a password is required' >&2; exit 1"


def names(parts: tuple[system.Part, ...]) -> list[str]:
    return [part.name for part in parts]


def as_user(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)


def test_nothing_is_there(programs: FakePrograms) -> None:
    # ser2net is also looked for in /usr/sbin, which a user's PATH may lack.
    elsewhere = (system.VENV, "ser2net")
    wanted = [name for name in PARTS if name not in elsewhere]
    assert names(missing_parts(wanted)) == wanted


def test_a_compiler_that_cannot_link_lacks_its_library(programs: FakePrograms) -> None:
    programs.add("arm-none-eabi-gcc", '[ "$1" = --version ]')
    assert names(missing_parts(["gcc-arm-none-eabi", "libnewlib-arm-none-eabi"])) == ["libnewlib-arm-none-eabi"]


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere gcc is clang, and asked otherwise")
def test_a_gcc_without_sanitizers_is_not_what_we_need(programs: FakePrograms) -> None:
    programs.add("gcc", 'case "$1" in -print-file-name=*) echo "${1#*=}";; --version);; *) exit 1;; esac')
    assert names(missing_parts(["gcc", "libc6-dev"])) == ["gcc", "libc6-dev"]
    programs.add("gcc", 'case "$1" in -print-file-name=*) echo "/usr/lib/${1#*=}";; esac')
    assert missing_parts(["gcc", "libc6-dev"]) == ()


def test_what_is_there_costs_no_word(debian: FakePrograms, said: list[str]) -> None:
    debian.add("qemu-system-arm")
    ensure_system_parts(["qemu-system-arm"], said.append)
    assert said == []
    assert debian.calls("apt-get") == []


def test_root_installs_what_is_missing_and_says_how_much_first(debian: FakePrograms, said: list[str]) -> None:
    debian.add("qemu-system-arm")
    ensure_system_parts(CROSS, said.append)
    (line,) = said
    assert "installing gcc-arm-none-eabi with apt-get. Need to get 46.0 MB" in line
    assert "180 MB of additional disk space" in line
    asked, installed = debian.calls("apt-get")
    assert "--print-uris" in asked
    assert installed.endswith("install -y --no-install-recommends gcc-arm-none-eabi")
    assert "DPkg::Lock::Timeout=300" in installed


def test_empty_lists_are_fetched(debian: FakePrograms, said: list[str]) -> None:
    (debian.folder / ".lists").unlink()
    ensure_system_parts(CROSS, said.append)
    assert "update" in said[0]
    assert missing_parts(CROSS) == ()


def test_sudo_is_used_where_it_asks_no_password(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch)
    monkeypatch.setenv("https_proxy", "the-proxy")
    debian.add("sudo", SUDO)
    ensure_system_parts(CROSS, said.append)
    assert missing_parts(CROSS) == ()
    call = debian.calls("sudo -n env")[0]
    assert "DEBIAN_FRONTEND=noninteractive" in call
    assert "https_proxy=the-proxy" in call


@pytest.mark.parametrize(
    ("sudo", "remedy"),
    [
        (SUDO_ASKS, "Run: sudo apt-get update && sudo apt-get install -y --no-install-recommends "),
        (None, "Run as root: apt-get update && apt-get install -y --no-install-recommends "),
    ],
)
def test_without_rights_the_remedy_is_the_command(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch, sudo: str | None, remedy: str
) -> None:
    as_user(monkeypatch)
    if sudo:
        debian.add("sudo", sudo)
    with pytest.raises(TargetUnavailable, match="compiles the firmware") as refused:
        ensure_system_parts(CROSS, said.append)
    assert refused.value.remedy == remedy + " ".join(CROSS)
    assert refused.value.exit_code == ExitCode.TARGET
    assert debian.calls("apt-get") == []


def test_a_taken_lock_is_waited_for(debian: FakePrograms, said: list[str]) -> None:
    (debian.folder / ".locked").touch()
    ensure_system_parts(CROSS, said.append)
    assert said[-1] == apt.WAITING
    assert missing_parts(CROSS) == ()


def test_a_lock_that_is_never_freed_is_given_up(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "LOCK_TIMEOUT_S", 0)
    (debian.folder / ".locked").mkdir()  # rm does not remove it
    with pytest.raises(TargetUnavailable, match="Could not get lock"):
        ensure_system_parts(CROSS, said.append)


def test_an_interrupted_dpkg_is_named(debian: FakePrograms, said: list[str]) -> None:
    (debian.folder / ".broken").touch()
    with pytest.raises(TargetUnavailable, match="dpkg was interrupted") as refused:
        ensure_system_parts(CROSS, said.append)
    assert "dpkg --configure -a" in refused.value.remedy
    assert any("update" in call for call in debian.calls("apt-get")), "old lists are the likelier cause"


def test_installed_and_still_not_working(debian: FakePrograms, said: list[str]) -> None:
    (debian.folder / ".packages" / "qemu-system-arm").unlink()
    with pytest.raises(TargetUnavailable, match="even though apt-get has installed it: qemu-system-arm"):
        ensure_system_parts(CROSS, said.append)


@pytest.mark.parametrize(
    ("manager", "command"),
    [
        ("dnf", "sudo dnf install arm-none-eabi-gcc-cs qemu-system-arm"),
        ("pacman", "sudo pacman -S --needed arm-none-eabi-gcc qemu-system-arm"),
        ("brew", "brew install gcc-arm-embedded qemu"),
        ("nothing", "what Debian calls: gcc-arm-none-eabi qemu-system-arm"),
    ],
)
def test_elsewhere_the_likely_command_is_offered(
    other_system: FakePrograms, said: list[str], manager: str, command: str
) -> None:
    other_system.add(manager)
    other_system.add("apt-get")  # some have it as a guest
    with pytest.raises(TargetUnavailable) as refused:
        ensure_system_parts(CROSS, said.append)
    assert refused.value.remedy.endswith(command)
    assert refused.value.code == "no_toolchain"
    assert other_system.calls() == []


@pytest.mark.parametrize("part", system.CODES)
def test_what_is_missing_has_the_doctors_id(part: str, other_system: FakePrograms, said: list[str]) -> None:
    with pytest.raises(TargetUnavailable) as refused:
        ensure_system_parts([part], said.append)
    assert refused.value.code == system.CODES[part]
    assert BY_ID[refused.value.code].error.exit_code == refused.value.exit_code


@pytest.mark.parametrize("text", ["ID=ubuntu\n", "ID=linuxmint\nID_LIKE='ubuntu debian'\n", 'ID_LIKE="debian"\n'])
def test_descendants_of_debian_are_known(other_system: FakePrograms, tmp_path: Path, text: str) -> None:
    other_system.add("apt-get")
    (tmp_path / "os-release").write_text(text)
    assert apt.is_available()


def without_ensurepip(monkeypatch: pytest.MonkeyPatch, python: Path | str) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr(sys, "_base_executable", str(python))


def test_the_systems_python_gets_its_venv_part(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch)
    without_ensurepip(monkeypatch, "/usr/bin/python3")
    with pytest.raises(TargetUnavailable) as refused:
        ensure_system_parts([system.VENV], said.append)
    assert refused.value.remedy.endswith("install -y --no-install-recommends python3-venv")


def test_another_python_of_the_system_gets_its_own(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    as_user(monkeypatch)
    without_ensurepip(monkeypatch, "/usr/bin/python3.99")
    with pytest.raises(TargetUnavailable) as refused:
        ensure_system_parts([system.VENV], said.append)
    assert refused.value.remedy.endswith(f"install -y --no-install-recommends python3.{sys.version_info[1]}-venv")


def test_a_python_that_is_not_the_systems_cannot_be_helped(
    debian: FakePrograms, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without_ensurepip(monkeypatch, "/opt/python/bin/python3")
    with pytest.raises(TargetUnavailable, match="without ensurepip") as refused:
        ensure_system_parts([system.VENV], said.append)
    assert "/usr/bin/python3" in refused.value.remedy
