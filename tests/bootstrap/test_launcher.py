"""The launcher and the set-up that it does, with a fake Python and a fake pip."""

from __future__ import annotations

import ast
import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap_fakes import ROOT, Project
from harness.bootstrap import environment
from harness.errors import TargetUnavailable
from patience import PATIENCE_S

INSTALLED_PROGRAM_ENDS_WITH = 5


def test_first_start_sets_up_and_hands_over(project: Project) -> None:
    done = project.start("validate", "my model.keras", "")
    assert done.stdout == "[validate]\n[my model.keras]\n[]\n"
    assert done.returncode == INSTALLED_PROGRAM_ENDS_WITH
    assert "650 MB" in done.stderr
    assert project.is_stamped
    packages, itself = project.calls("pip")
    assert "--require-hashes --only-binary=:all:" in packages
    assert packages.endswith("requirements/run.lock --quiet")
    assert "--no-deps --no-build-isolation" in itself
    assert str(project.root) in itself


def test_second_start_says_and_installs_nothing(project: Project) -> None:
    project.start()
    done = project.start("info")
    assert (done.stdout, done.stderr) == ("[info]\n", "")
    assert len(project.calls("pip")) == 2


def test_the_chatter_of_pip_stays_off_stdout(project: Project) -> None:
    project.note(".pip_fails")
    done = project.start()
    assert done.stdout == ""
    assert "ERROR: no network" in done.stderr


def test_called_through_a_symlink_from_elsewhere(project: Project) -> None:
    link = project.home / "hil-link"
    link.symlink_to(project.hil)
    assert project.start("list", hil=link).stdout == "[list]\n"
    assert project.is_stamped


def test_setup_dev_installs_the_development_tools_and_they_stay(project: Project) -> None:
    project.start()
    project.start("setup", "--dev")
    assert "requirements/dev.lock" in project.calls("pip")[2]
    project.start("info")
    assert len(project.calls("pip")) == 4
    (project.root / "requirements" / "dev.lock").write_text("# changed\n")
    project.start("info")
    assert "requirements/dev.lock" in project.calls("pip")[4]


def test_changed_locks_are_installed_into_the_same_environment(project: Project) -> None:
    project.start()
    (project.root / "requirements" / "run.lock").write_text("# changed\n")
    done = project.start()
    assert "bringing it up to date" in done.stderr
    assert len(project.calls("-m venv")) == 1
    assert len(project.calls("pip")) == 4


def test_a_moved_project_is_set_up_anew(project: Project) -> None:
    project.start()
    project.root = project.root.rename(project.root.with_name("moved"))
    project.start()
    assert len(project.calls("-m venv")) == 2


def test_a_vanished_interpreter_is_repaired(project: Project) -> None:
    project.start()
    python = project.root / ".venv" / "bin" / "python"
    python.unlink()
    python.symlink_to("/nowhere/python3.9")
    assert project.start("info").stdout == "[info]\n"
    assert len(project.calls("-m venv")) == 2


def test_failed_pip_leaves_no_stamp_and_the_next_start_repairs(project: Project) -> None:
    project.note(".pip_fails")
    failed = project.start()
    assert failed.returncode == 3
    assert "error (rig): pip could not install the packages" in failed.stderr
    assert "what to do: If the network is to blame, set HTTPS_PROXY" in failed.stderr
    assert not project.is_stamped
    (project.home / ".pip_fails").unlink()
    (project.root / ".venv" / "half").touch()
    assert project.start("info").stdout == "[info]\n"
    assert not (project.root / ".venv" / "half").exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 128 + signal.SIGTERM)])
def test_interrupted_set_up_takes_pip_along_and_is_repaired(project: Project, number: int, code: int) -> None:
    project.hold_pip()
    with project.popen() as process:
        project.wait_for_pip()
        process.send_signal(number)
        _, stderr = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert "Traceback" not in stderr
    if number == signal.SIGINT:
        assert stderr.splitlines()[-1] == "hil: interrupted; the next start repairs what is unfinished."
    assert not project.is_stamped
    project.let_pip_go()
    assert project.start("info").stdout == "[info]\n"


def test_a_signal_that_comes_as_pip_ends_finds_nothing_to_end(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def wait_and_be_interrupted(child: subprocess.Popen[bytes]) -> int:
        child.wait(timeout=PATIENCE_S)
        raise KeyboardInterrupt

    monkeypatch.setattr(sys, "_base_executable", str(project.home / "python"))
    monkeypatch.setattr(environment, "DISK_MB", 0)
    monkeypatch.setattr(environment, "wait_for", wait_and_be_interrupted)
    with pytest.raises(KeyboardInterrupt):
        environment.prepare(str(project.root), say=lambda _: None)


def test_after_a_kill_the_next_start_waits_for_the_orphaned_pip(project: Project) -> None:
    project.hold_pip()
    with project.popen() as process:
        project.wait_for_pip()
        process.kill()
        process.wait(timeout=PATIENCE_S)
    done = project.start_beside_held_pip("info")
    assert "waiting for it" in done.stderr
    assert done.stdout == "[info]\n"
    assert len(project.calls("-m venv")) == 2


def test_two_starts_at_once_make_one_environment(project: Project) -> None:
    project.hold_pip()
    with project.popen("first") as first:
        project.wait_for_pip()
        second = project.start_beside_held_pip("second")
        assert first.communicate(timeout=PATIENCE_S)[0] == "[first]\n"
    assert second.stdout == "[second]\n"
    assert "another start is setting up .venv" in second.stderr
    assert len(project.calls("-m venv")) == 1


def test_the_users_environment_cannot_lead_pip_or_the_program_astray(project: Project) -> None:
    project.start(
        PYTHONPATH="/opt/ros/lib",
        VIRTUAL_ENV="/elsewhere",
        PIP_TARGET="/elsewhere",
        PIP_USER="1",
        PIP_INDEX_URL="the user's own",
        HTTPS_PROXY="the user's proxy",
    )
    pip = (project.home / ".pip_environment").read_text()
    assert "PIP_INDEX_URL=the user's own\n" in pip
    assert "HTTPS_PROXY=the user's proxy\n" in pip
    assert "PIP_USER=0\n" in pip
    assert "/elsewhere" not in pip
    assert "/opt/ros" not in pip + (project.home / ".environment").read_text()


def test_pip_unpacks_on_the_projects_disk_and_leaves_nothing(project: Project) -> None:
    project.start()
    assert f"TMPDIR={project.root}/.hil/tmp\n" in (project.home / ".pip_environment").read_text()
    assert not (project.root / ".hil" / "tmp").exists()


def test_a_folder_that_is_not_ours(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(TargetUnavailable, match="cannot be written") as refused:
        environment.prepare(str(project.root))
    assert "chown" in refused.value.remedy


def test_a_full_disk_is_said_before_anything_is_made(
    project: Project, monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    monkeypatch.setattr(environment, "DISK_MB", 10**12)
    with pytest.raises(TargetUnavailable, match="MB are free"):
        environment.prepare(str(project.root), say=said.append)
    assert not (project.root / ".venv").exists()


@pytest.mark.parametrize(("system", "machine"), [("Linux", "armv7l"), ("Darwin", "x86_64"), ("Linux", "riscv64")])
def test_machines_without_tensorflow_are_told_so(
    project: Project, monkeypatch: pytest.MonkeyPatch, system: str, machine: str
) -> None:
    monkeypatch.setattr("platform.system", lambda: system)
    monkeypatch.setattr("platform.machine", lambda: machine)
    with pytest.raises(TargetUnavailable, match=f"no package for {system} on {machine}"):
        environment.prepare(str(project.root))


@pytest.mark.parametrize("version", [(3, 6), (3, 9), (3, 14)])
def test_other_pythons_are_refused_in_one_sentence(project: Project, version: tuple[int, int]) -> None:
    pretend = f"import runpy, sys; sys.version_info = {(*version, 0, 'final', 0)}; sys.argv = ['./hil']"
    done = subprocess.run(
        [sys.executable, "-c", f"{pretend}; runpy.run_path({str(project.hil)!r}, run_name='__main__')"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"hil: this is Python {version[0]}.{version[1]}, and TensorFlow needs 3.10 to 3.13")
    assert done.stderr.count("\n") == 1


def test_old_pythons_can_read_the_launcher() -> None:
    ast.parse((ROOT / "hil").read_text(), feature_version=(3, 6))


def test_the_launcher_is_small_and_executable() -> None:
    assert len((ROOT / "hil").read_text().splitlines()) <= 45
    assert os.access(ROOT / "hil", os.X_OK)
