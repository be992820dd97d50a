"""Somebody else's project, with the wheel in an environment of its own, outside the clone, with an empty cache."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
from pathlib import Path

import pytest

from harness import __version__
from harness.build.elf import build_id
from harness.build.native import native_executable
from harness.build.platformio import firmware_elf
from installation import ROOT, Installation, need_programs

TESTS = 6
"""Of the user's project: three on each of two targets."""


def output_of(done: subprocess.CompletedProcess[str], status: int = 0) -> str:
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def test_it_is_the_installed_program(installation: Installation) -> None:
    assert output_of(installation.run("hil", "--version")) == f"hil {__version__}\n"
    assert Path(installation.call("harness", "__file__")).is_relative_to(installation.venv)


def test_setup_needs_no_launcher(installation: Installation) -> None:
    need_programs()
    said = installation.run("hil", "setup")
    assert said.returncode == 0, said.stderr
    assert "qemu: ready\nnative: ready\nset up; next: `hil demo`\n" in said.stderr


def test_it_is_the_same_firmware(installation: Installation) -> None:
    """Built from what the wheel carries, somewhere else, and yet the same programs as the clone's."""
    need_programs()
    for kind, ours in (("native", native_executable()), ("qemu", firmware_elf())):
        info = json.loads(output_of(installation.run("hil", "info", f"--{kind}", "--json")))
        assert info["firmware"]["build_id"] == build_id(ours).hex()


def test_the_demo(installation: Installation) -> None:
    need_programs()
    shown = output_of(installation.run("hil", "demo", "--native"))
    assert "the same on both 60 of 60" in shown
    assert "PASS digits.keras" in shown


def test_the_projects_tests_on_both_targets(installation: Installation) -> None:
    need_programs()
    shown = output_of(installation.pytest())
    assert len(re.findall(r"\[(?:native|qemu)\] PASSED", shown)) == TESTS, shown


def test_a_model_beyond_tolerance_fails(installation: Installation) -> None:
    need_programs()
    test = installation.home / "project" / "tests" / "test_strict.py"
    test.write_text("def test_strict(validate, model):\n    assert validate(model, atol=0, rtol=0)\n")
    try:
        shown = output_of(installation.pytest("--native", "-k", "strict"), 1)
    finally:
        test.unlink()
    assert "FAIL model.keras" in shown


def test_a_firmware_that_does_not_compile_is_no_skip(installation: Installation) -> None:
    """Although nobody asked for this target by name."""
    need_programs()
    shown = output_of(installation.pytest("-k", "room and native", CC="gcc -Dint=no"), 1)
    assert "BuildFailed: could not compile" in shown
    assert "skipped" not in shown


@pytest.mark.parametrize("arguments", [("setup", "--dev"), ("test",)])
def test_the_projects_own_upkeep_is_for_clones(installation: Installation, arguments: tuple[str, ...]) -> None:
    refused = installation.run("hil", *arguments)
    assert refused.returncode == 2
    assert "clone" in refused.stderr


def test_parallel_workers_share_one_build_and_no_device(venv: Path, tmp_path: Path) -> None:
    """Every worker runs every test, from an empty cache."""
    if importlib.util.find_spec("xdist") is None:
        pytest.skip("pytest-xdist is not installed: ./hil setup --dev")
    need_programs()
    user = Installation(venv, Path()).with_home(tmp_path / "home")
    compiler = tmp_path / "gcc"
    compiler.write_text(f'#!/bin/sh\necho "$*" >> {tmp_path}/compiled\nexec gcc "$@"\n')
    compiler.chmod(0o755)
    starts = tmp_path / "starts"
    shown = output_of(user.pytest("-n", "2", "--dist", "each", CC=str(compiler), STARTS=str(starts)))
    assert f"{2 * TESTS} passed" in shown
    compiled = [line for line in (tmp_path / "compiled").read_text().splitlines() if "firmware/src/main.c" in line]
    assert len(compiled) == 1
    assert len({line for line in starts.read_text().splitlines() if "'platformio', 'run'" in line}) == 1
    logs = Path(user.call("harness.build.paths", "work_dir()"), "logs")
    for kind in ("native", "qemu"):
        assert len(list(logs.glob(f"{kind}-*.log"))) == 2, "one for each worker's device"


def test_pytest_embedded_beside_us(installation: Installation) -> None:
    """It owns --port: our options must neither take it away nor stop pytest."""
    if importlib.util.find_spec("pytest_embedded") is None:
        pytest.skip("pytest-embedded is not installed: ./hil setup --dev")
    need_programs()
    test = installation.home / "test_both.py"
    test.write_text("def test_both(device, port):\n    assert device.info.arena_bytes and port == 'their-port'\n")
    options = ("-v", "-p", "no:cacheprovider", "--port", "their-port", "--hil-native")
    shown = output_of(installation.run("python", "-m", "pytest", *options, "test_both.py"))
    assert re.search(r"^plugins: .*\bembedded-", shown, re.MULTILINE)
    assert "test_both[native] PASSED" in shown


def test_the_example_names_no_place_of_ours() -> None:
    for path in (ROOT / "examples" / "user_project").rglob("*.*"):
        if path.is_file() and path.suffix != ".pyc":
            assert str(ROOT) not in path.read_text(), path
