"""Every end of a run is told as what it is: no end but a wrong number may look like one."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.app import run
from harness.cli.run_files import Files
from harness.device import Device
from harness.errors import DeviceError, HilError
from harness.protocol.messages import Echo
from harness.targets.choice import TargetChoice
from harness.workbench import Workbench, make_target
from patience import PATIENCE_S, wait_until

HIL = [sys.executable, "-m", "harness"]


def verdict_in(path: Path) -> str:
    verdict: str = json.loads(path.read_text())["verdict"]
    return verdict


@pytest.mark.parametrize("option", ["--save", "--json"])
def test_a_full_disk_is_the_doctors_finding_and_no_verdict(
    model: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(model), "--native", option, "/dev/full"]) == 3
    captured = capsys.readouterr()
    assert "/dev/full: No space left" in " ".join(captured.out.split())
    assert captured.out.splitlines()[-1].startswith("ERROR seed.keras: disk_full")


@pytest.mark.parametrize(
    "arguments",
    [
        ["validate", "MODEL", "--native", "--record", "/dev/full"],
        ["golden", "make", "MODEL", "-o", "FULL.golden"],
        ["vectors", "MODEL", "--cover", "/dev/full"],
    ],
    ids=lambda arguments: arguments[0],
)
def test_a_full_disk_is_one_finding_wherever_it_is(
    model: Path, arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    full = tmp_path / "full.golden"
    full.symlink_to("/dev/full")
    given = [{"MODEL": str(model), "FULL.golden": str(full)}.get(each, each) for each in arguments]
    assert run(given) == 3
    assert "[disk_full]" in capsys.readouterr().err


def test_a_full_disk_behind_standard_output_is_the_same(
    model: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: str) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patched:
        patched.setattr(sys.stdout, "write", full)
        assert run(["export", str(model), "--c"]) == 3
    assert "[disk_full]" in capsys.readouterr().err


def test_too_little_memory_is_no_verdict(model: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(model), "--native", "--batch", "1000000000", "--steps", "100000"]) == 2
    assert "memory" in capsys.readouterr().out


def test_an_unexpected_error_is_named_and_stops_no_other_model(
    model: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from harness.oracle.cache import Oracle

    real = Oracle.load

    def broken(self: Oracle, path: Path, *options: Any) -> object:
        if path.stem == "bad":
            raise ZeroDivisionError("surprise")
        return real(self, path, *options)

    monkeypatch.setattr(Oracle, "load", broken)
    bad = tmp_path / "bad.keras"
    bad.write_bytes(b"")
    assert run(["validate", str(bad), str(model), "--native"]) == 6
    output = capsys.readouterr().out
    assert "ZeroDivisionError" in output
    assert "1 PASS, 1 ERROR" in output


def test_outputs_never_replace_what_is_read(model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    np.savez(folder / "seed.npz", x=np.zeros((1, 2, 3), np.float32))
    before = (folder / "seed.npz").read_bytes()
    arguments = ["validate", str(model), "--native", "--inputs", str(folder), "--save", str(folder)]
    assert run(arguments) == 2
    assert (folder / "seed.npz").read_bytes() == before
    assert run(["validate", str(model), "--native", "--json", str(model)]) == 2
    same = str(tmp_path / "same")
    assert run(["validate", str(model), "--native", "--json", same, "--save", same]) == 2


def test_an_old_pass_does_not_outlive_a_new_run(model: Path, tmp_path: Path) -> None:
    record, saved = tmp_path / "r.json", tmp_path / "out.npz"
    outputs = ["--json", str(record), "--save", str(saved)]
    assert run(["validate", str(model), "--native", *outputs]) == 0
    assert verdict_in(record) == "PASS"
    other = tmp_path / "other.keras"
    other.write_bytes(b"no model")
    assert run(["validate", str(other), "--native", *outputs]) == 2
    assert verdict_in(record) == "ERROR"
    assert not saved.exists()


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_leaves_an_error_record(model: Path, tmp_path: Path, number: int, code: int) -> None:
    record = tmp_path / "r.json"
    record.write_text('{"verdict": "PASS"}')
    arguments = ["validate", str(model), "--native", "--batch", "20000", "--steps", "50", "--json", str(record)]
    process = subprocess.Popen([*HIL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert wait_until(lambda: not record.exists())  # the old record goes when the run begins
    process.send_signal(number)
    output, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert complaints == ("interrupted\n" if number == signal.SIGINT else "")
    assert output.splitlines()[-1] == f"ERROR {model.name}: interrupted (exit {code})"
    assert json.loads(record.read_text())["exit_code"] == code
    assert verdict_in(record) == "ERROR"


def test_an_end_right_after_the_old_record_went_leaves_one_too(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forget_old = Files.forget_old

    def interrupted(self: Files, model: Path) -> None:
        forget_old(self, model)
        raise KeyboardInterrupt

    monkeypatch.setattr(Files, "forget_old", interrupted)
    record = tmp_path / "r.json"
    record.write_text('{"verdict": "PASS"}')
    assert run(["validate", str(model), "--native", "--json", str(record)]) == 130
    assert json.loads(record.read_text())["error"]["code"] == "interrupted"


def test_a_reader_that_goes_away_is_no_verdict(model: Path) -> None:
    hil = f"{sys.executable} -m harness validate {model} {model} {model} --native"
    command = f"{hil} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode in (0, 141)
    assert "Traceback" not in done.stderr


def test_an_unreadable_model_stops_no_other(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    unreadable = tmp_path / "closed.keras"
    unreadable.mkdir()  # also root cannot read a folder as a file
    assert run(["validate", str(unreadable), str(model), "--native"]) == 2
    assert "1 PASS, 1 ERROR" in capsys.readouterr().out


def test_columns_are_never_cut(model: Path) -> None:
    environment = {**os.environ, "COLUMNS": "60", "TERM": "xterm"}
    done = subprocess.run(
        [*HIL, "validate", str(model), "--native"], capture_output=True, text=True, env=environment, check=True
    )
    assert "…" not in done.stdout
    assert all(line.rstrip().endswith("ok") for line in done.stdout.splitlines() if line.startswith("lstm."))


def test_names_with_brackets_are_printed_as_they_are(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "br[a]" / "r[/x].json"
    assert run(["validate", str(model), "--native", "--json", str(path)]) == 0
    assert str(path) in capsys.readouterr().out


def test_nan_on_both_sides_is_said(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "x.npz", x=np.full((1, 2, 3), np.nan, np.float32))
    assert run(["validate", str(model), "--native", "--inputs", str(tmp_path / "x.npz")]) == 0
    assert "NaN on both sides" in capsys.readouterr().out.splitlines()[-1]


def _first_error(device: Device) -> HilError:
    """What a device says once it is gone; it may answer for a moment."""
    for _ in range(100):
        try:
            device.request(Echo())
        except HilError as error:
            return error
    raise AssertionError("the device still answers")


def test_a_target_that_is_killed_is_told_so(model: Path, hil_kind: str, hil_workbench: object) -> None:
    """The same cause has the same code on every target, every time."""
    for _ in range(3):
        with Workbench(make_target(TargetChoice(hil_kind), lambda _: None)) as bench:
            device = bench.device()
            bench.target._process._process.kill()  # type: ignore[attr-defined]
            told = bench.failed(_first_error(device))
            assert isinstance(told, DeviceError)
            assert told.code == "target_died"
            assert "SIGKILL" in told.message


@pytest.mark.parametrize(("number", "code"), [(errno.ENOSPC, "disk_full"), (errno.EIO, "operating_system")])
def test_a_disk_in_the_way_is_no_verdict(
    model: Path, number: int, code: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from harness.oracle.cache import Oracle

    def refuse(*_: Any, **__: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Oracle, "load", refuse)
    record = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--json", str(record)]) == 3
    assert json.loads(record.read_text())["error"]["code"] == code
