"""Boards of a lab: a real labgrid on loopback, whose ports are pseudo-terminals with QEMU and with a fake device."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.errors import TargetUnavailable
from harness.fake import FakeDevice
from harness.lab.find import VARIABLE, find_client
from keras_models import save_spec
from lab_on_loopback import Lab, wait_for
from patience import PATIENCE_S
from pty_line import PtyDevice, QemuOnPty
from report_schema import check_record

SER2NET = shutil.which("ser2net", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin")
HIL = [sys.executable, "-m", "harness"]


def _problem() -> str | None:
    try:
        find_client()
    except TargetUnavailable as error:
        return f"{error.message}: {error.remedy}"
    return None if SER2NET else "ser2net is not installed (Debian: ser2net)"


pytestmark = pytest.mark.skipif(_problem() is not None, reason=_problem() or "")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_spec(seeds.random_lstm(3, 5), tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Places `fake` and, where there is a QEMU, `qemu` and `other`."""
    folder = tmp_path_factory.mktemp("lab")
    with ExitStack() as ends, pytest.MonkeyPatch.context() as environment:
        device = PtyDevice(FakeDevice().receive)
        ends.callback(device.hang_up)
        ports = {"fake": device.url}
        try:
            for name in ("qemu", "other"):
                qemu = QemuOnPty(firmware_elf(), folder / f"{name}.log")
                ends.callback(qemu.stop)
                ports[name] = qemu.url
        except TargetUnavailable:
            pass
        lab = Lab(folder, ports)
        ends.callback(lab.stop)
        environment.setenv("LG_COORDINATOR", lab.coordinator)
        environment.setenv(VARIABLE, str(find_client()))  # pytester gives its runs a home of their own
        yield lab


@pytest.fixture
def on_qemu(lab: Lab) -> Lab:
    if "qemu" not in lab.run("places"):
        pytest.skip("qemu is not installed")
    return lab


def test_a_validation_in_the_lab_is_bit_equal_with_native(on_qemu: Lab, model: Path, tmp_path: Path) -> None:
    arguments = ["validate", str(model), "--batch", "2", "--steps", "9"]
    files = ["--save", str(tmp_path / "l.npz"), "--json", str(tmp_path / "r.json")]
    assert run([*arguments, "--labgrid", "qemu", *files]) == 0
    assert on_qemu.holder("qemu") is None
    assert run([*arguments, "--native", "--save", str(tmp_path / "n.npz")]) == 0
    with np.load(tmp_path / "l.npz") as got, np.load(tmp_path / "n.npz") as expected:
        assert {name: got[name].tobytes() for name in got} == {name: expected[name].tobytes() for name in expected}
    record = json.loads((tmp_path / "r.json").read_text())
    check_record(record)
    target = record["target"]
    assert (target["kind"], target["name"], target["labgrid_place"]) == ("board", "nucleo_f446re", "qemu")
    assert target["port"].startswith("rfc2217://127.0.0.1:")


def test_the_place_is_ours_meanwhile_and_released_after(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["info", "--labgrid", "fake"]) == 0
    assert "labgrid_place" in capsys.readouterr().out
    assert lab.holder("fake") is None


def test_models_are_spread_over_several_places(
    on_qemu: Lab, model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    models = [shutil.copy(model, tmp_path / f"{name}.keras") for name in ("a", "b")]
    places = ["--labgrid", "qemu", "--labgrid", "other"]
    assert run(["validate", *map(str, models), *places, "--batch", "2", "--steps", "9", "--json", f"{tmp_path}/"]) == 0
    assert "2 at once" in capsys.readouterr().out
    records = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("a", "b")]
    assert {record["target"]["labgrid_place"] for record in records} <= {"qemu", "other"}
    assert [on_qemu.holder(place) for place in ("qemu", "other")] == [None, None]


def test_a_second_user_is_told_who_holds_it(lab: Lab, capsys: pytest.CaptureFixture[str]) -> None:
    lab.run("-p", "fake", "acquire", user="ada")
    try:
        assert run(["info", "--labgrid", "fake"]) == 3
        complaint = capsys.readouterr().err
        assert "labgrid place fake is acquired by " in complaint
        assert "/ada" in complaint
        assert "--wait" in complaint
        assert (lab.holder("fake") or "").endswith("/ada"), "only what is ours is released"
    finally:
        lab.run("-p", "fake", "release", user="ada")


def test_a_second_user_waits(lab: Lab) -> None:
    lab.run("-p", "fake", "acquire", user="ada")
    wait = ["info", "--labgrid", "fake", "--wait", f"{PATIENCE_S:g}"]
    with subprocess.Popen([*HIL, *wait], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        told = next((line for line in waiting.stderr if "waiting up to" in line), "it did not wait")
        lab.run("-p", "fake", "release", user="ada")
        waiting.communicate()
    assert "/ada" in told
    assert waiting.returncode == 0
    assert lab.holder("fake") is None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_place_is_released_however_we_end(on_qemu: Lab, number: signal.Signals) -> None:
    arguments = ["soak", "--labgrid", "qemu", "--faults", "light", "--exchanges", "1000000", "--seed", "1"]
    process = subprocess.Popen([*HIL, *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wait_for(lambda: on_qemu.holder("qemu") is not None, "never acquired")
    process.send_signal(number)
    _, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGKILL: -9}[number]
    assert "Traceback" not in complaints
    if number != signal.SIGKILL:
        assert on_qemu.holder("qemu") is None, "free when we have ended"
    wait_for(lambda: on_qemu.holder("qemu") is None, "not released")


@pytest.mark.parametrize(
    ("place", "said"), [("nowhere", "nowhere matches nothing"), ("empty", "has no matching remote resource")]
)
def test_places_that_cannot_be_used(lab: Lab, place: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    if place == "empty":
        lab.run("-p", "empty", "create")
        lab.run("-p", "empty", "add-match", "rack/none/*")
    assert run(["info", "--labgrid", place]) == 3
    assert said in capsys.readouterr().err


def test_a_coordinator_that_is_not_there(
    lab: Lab, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LG_COORDINATOR", "127.0.0.1:9")
    assert run(["info", "--labgrid", "fake"]) == 3
    assert "LG_COORDINATOR" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--labgrid", "--hil-labgrid"])
def test_the_plugin_takes_a_place(lab: Lab, option: str, pytester: pytest.Pytester) -> None:
    pytester.makepyfile("""
        def test_echo(device):
            from harness.protocol.messages import Echo
            assert device.request(Echo(data=b"hi")).data == b"hi"
    """)
    result = pytester.runpytest_subprocess("-v", option, "fake")
    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(["*labgrid place fake*"])
    assert lab.holder("fake") is None
