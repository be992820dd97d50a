"""Several boards on one command line: pseudo-terminals with QEMU behind them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.build.platformio import firmware_elf
from harness.cli.app import run
from harness.errors import BuildFailed, TargetUnavailable
from harness.targets.lock import BoardLock
from keras_models import save_spec
from patience import PATIENCE_S
from pty_line import QemuOnPty

HIL = [sys.executable, "-m", "harness"]
COUNT = 5


@pytest.fixture(autouse=True)
def runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "runtime"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder))


@pytest.fixture(scope="module")
def ports(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    folder = tmp_path_factory.mktemp("qemu")
    try:
        boards = [QemuOnPty(firmware_elf(), folder / f"log{number}") for number in range(2)]
    except BuildFailed:
        raise
    except TargetUnavailable as error:
        pytest.skip(error.message)
    yield [board.url for board in boards]
    for board in boards:
        board.stop()


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    folder = tmp_path_factory.mktemp("models")
    node, spec = seeds.random_lstm_node(3, 5), seeds.random_lstm(3, 5)
    nodes = [replace(node, kernel=node.kernel * np.float32(1 + number / 10)) for number in range(COUNT)]
    return [str(save_spec(replace(spec, name=f"w{n}", nodes=(each,)), folder)) for n, each in enumerate(nodes)]


def both(ports: list[str]) -> list[str]:
    return [option for port in ports for option in ("--port", port)]


def test_models_are_spread_and_each_result_says_which_board(
    models: list[str], ports: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", *models, "--native"]) == 0  # so that no worker has to ask Keras
    capsys.readouterr()
    records = tmp_path / "records"
    assert run(["validate", *models, *both(ports), "--json", f"{records}/"]) == 0
    output = capsys.readouterr().out
    first, *_ = output.splitlines()
    assert first == f"target  board nucleo_f446re, port {ports[0]}; board nucleo_f446re, port {ports[1]}, 2 at once"
    assert output.splitlines()[-1] == f"{COUNT} PASS"
    used = [json.loads((records / f"w{number}.json").read_text())["target"]["port"] for number in range(COUNT)]
    assert set(used) == set(ports), "both boards had something to do"
    table = output.splitlines()[-1 - COUNT : -1]
    # Not by columns: a machine that is too slow to try all mistakes has one more, of those that were seen.
    assert [f"nucleo_f446re {port} " in line for line, port in zip(table, used, strict=True)] == [True] * COUNT


def test_a_board_in_use_is_left_out_with_its_holder(
    models: list[str], ports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    lock = BoardLock(ports[0], "a board")
    lock.take()
    try:
        assert run(["validate", models[0], models[1], *both(ports)]) == 0
    finally:
        lock.give_back()
    first, note, *_ = capsys.readouterr().out.splitlines()
    assert first == f"target  board nucleo_f446re, port {ports[1]}"
    assert note.startswith(f"note    left out: nucleo_f446re at {ports[0]} is in use by pid ")


@pytest.mark.parametrize("command", [["validate"], ["info"]])
def test_one_that_is_in_use_is_an_error_or_waited_for(
    command: list[str], models: list[str], ports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    options = [*command, *(models[:1] if command == ["validate"] else []), "--port", ports[0]]
    lock = BoardLock(ports[0], "a board")
    lock.take()
    assert run(options) == 3
    said = "".join(capsys.readouterr())
    assert "is in use by pid" in said
    assert "--wait SECONDS" in said
    waiting = subprocess.Popen(
        [*HIL, *options, "--wait", "60"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr is not None
    assert "waiting up to 60 s: nucleo_f446re at " in waiting.stderr.readline()
    lock.give_back()
    waiting.communicate(timeout=PATIENCE_S)
    assert waiting.returncode == 0


def test_all_in_use_is_told_for_each_model(
    models: list[str], ports: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("harness.cli.lazy_workbench._SETTLE_S", 0.0)
    locks = [BoardLock(port, "a board") for port in ports]
    for lock in locks:
        lock.take()
    assert run(["validate", *models[:2], *both(ports), "-j", "1"]) == 3
    for lock in locks:
        lock.give_back()
    assert capsys.readouterr().out.splitlines()[-1] == "2 ERROR"


def test_one_that_is_absent_is_an_error_although_another_is_there(
    models: list[str], ports: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", *models[:2], "--port", ports[0], "--sn", "NOBODY"]) == 2
    assert run(["validate", *models[:2], "--sn", "NOBODY", "--sn", "ANYBODY"]) == 3
    assert "serial number NOBODY" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["info", "--port", "a", "--port", "b"], "this uses one"),
        (["validate", "m.keras", "--port", "a", "--port", "b", "-j", "3"], "more than the 2 given"),
        (["validate", "m.keras", "--port", "a", "--port", "b", "--record", "f"], "--record holds one session"),
    ],
)
def test_what_does_not_go_together(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(options) == 2
    assert said in capsys.readouterr().err
