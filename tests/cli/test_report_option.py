"""`hil validate --report`: the folder for every end of a run, and its records against the schema."""

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

from harness.build.paths import project_root
from harness.cli.app import run
from patience import PATIENCE_S, wait_until
from report_schema import check_record

pytestmark = pytest.mark.usefixtures("native_is_there")

ALL = {"report.html", "report.json", "junit.xml", "vectors.npz", "worst.npz"}


@pytest.fixture(scope="module")
def native_is_there() -> None:
    from harness.bootstrap.system import missing_parts

    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def record_in(folder: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((folder / "report.json").read_text())
    check_record(record)
    return record


def test_a_pass_needs_no_record_of_the_link(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["/usr/bin/hil", "validate", model.name])
    folder, json_path = tmp_path / "new" / "report", tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--report", str(folder), "--json", str(json_path)]) == 0
    output = capsys.readouterr().out
    assert f"written {folder / 'report.html'}" in output
    assert output.splitlines()[-1].startswith("PASS seed.keras")
    assert names(folder) == ALL
    record = record_in(folder)
    assert record == json.loads(json_path.read_text())
    assert record["link_record"] is None
    assert record["run"]["command"] == "hil validate seed.keras"
    assert len(record["bisect"]["steps"]) == 16
    assert all(each["teacher_forced"] is not None for each in record["bisect"]["steps"])
    assert "bisect_s" in record["timing"]
    page = (folder / "report.html").read_text()
    assert "Error by time step" in page
    assert "Steps on their own" in page
    assert "where " not in output


def test_a_failure_keeps_the_link_and_can_be_run_again(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "report"
    assert run(["validate", str(model), "--native", "--atol", "0", "--rtol", "0", "--report", str(folder)]) == 1
    assert names(folder) == {*ALL, "link.record"}
    assert record_in(folder)["link_record"] == "link.record"
    assert str(folder / "link.record") in capsys.readouterr().out
    assert run(["replay", str(folder / "link.record")]) == 0
    assert run(["validate", str(model), "--native", "--inputs", str(folder / "worst.npz")]) == 0


def test_a_recording_that_was_asked_for_stays_where_it_is(model: Path, tmp_path: Path) -> None:
    folder, link = tmp_path / "report", tmp_path / "my.link"
    assert run(["validate", str(model), "--native", "--report", str(folder), "--record", str(link)]) == 0
    assert record_in(folder)["link_record"] == "my.link"
    assert link.exists()
    assert names(folder) == ALL


def test_every_end_has_a_report(gru_model: Path, ill_conditioned_model: Path, tmp_path: Path) -> None:
    for model, code in ((gru_model, 2), (ill_conditioned_model, 8)):
        folder = tmp_path / model.stem
        assert run(["validate", str(model), "--native", "--steps", "40", "--report", str(folder)]) == code
        assert names(folder) >= {"report.html", "report.json", "junit.xml"}
        assert "link.record" not in names(folder), "nothing went over it"
        assert record_in(folder)["verdict"] == "ERROR"
        assert "No verdict" in (folder / "report.html").read_text()


def test_many_models_have_a_folder_each_and_an_index(model: Path, gru_model: Path, tmp_path: Path) -> None:
    assert run(["validate", str(model), str(gru_model), "--native", "--report", str(tmp_path)]) == 2
    assert names(tmp_path) == {"seed", "gru", "index.html", "junit.xml"}
    assert record_in(tmp_path / "seed")["verdict"] == "PASS"
    assert record_in(tmp_path / "gru")["verdict"] == "ERROR"
    assert len(record_in(tmp_path / "seed")["bisect"]["steps"]) == 16
    index = (tmp_path / "index.html").read_text()
    assert "1 PASS, 1 ERROR" in index
    assert "seed/report.html" in index
    assert run(["validate", str(model), str(model), "--native", "--report", str(tmp_path)]) == 2


def test_several_workers_report_too(model: Path, gru_model: Path, tmp_path: Path) -> None:
    assert run(["validate", str(model), str(gru_model), "--native", "-j", "2", "--report", str(tmp_path)]) == 2
    assert names(tmp_path) == {"seed", "gru", "index.html", "junit.xml"}


def test_an_old_report_does_not_outlive_a_new_run(model: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.keras"
    other.write_bytes(b"no model")
    folder = tmp_path / "report"
    arguments = ["--native", "--report", str(folder)]
    assert run(["validate", str(model), *arguments, "--atol", "0", "--rtol", "0"]) == 1
    assert run(["validate", str(other), *arguments]) == 2
    assert names(folder) == {"report.html", "report.json", "junit.xml"}


def test_a_full_disk_is_no_verdict(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    folder, json_path = tmp_path / "report", tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--report", str(folder), "--json", str(json_path)]) == 3
    output = capsys.readouterr().out
    assert "No space left on device" in output
    assert output.splitlines()[-1].startswith("ERROR seed.keras: disk_full")
    assert names(folder) <= {"link.record"}
    assert json.loads(json_path.read_text())["error"]["code"] == "disk_full"


def test_a_place_that_cannot_be_written_is_named_before_anything_runs(model: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert run(["validate", str(model), "--native", "--report", str(blocked)]) == 2
    assert run(["validate", str(model), "--native", "--report", str(blocked / "report")]) == 2


def test_an_interrupted_run_has_a_report(model: Path, tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text("PASS")
    arguments = ["validate", str(model), "--native", "--batch", "20000", "--steps", "50", "--report", str(tmp_path)]
    process = subprocess.Popen(
        [sys.executable, "-m", "harness", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    assert wait_until(lambda: not page.exists())
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in complaints
    assert record_in(tmp_path)["exit_code"] == 130
    assert "interrupted" in page.read_text()


def test_the_demo_of_a_classifier_is_told_in_classes(tmp_path: Path) -> None:
    digits = project_root() / "examples" / "digits"
    arguments = [str(digits / "digits.keras"), "--inputs", str(digits / "heldout.npz"), "--native"]
    assert run(["validate", *arguments, "--report", str(tmp_path)]) == 0
    (classes,) = record_in(tmp_path)["classification"]
    assert [row["name"] for row in classes["rows"]] == ["device_vs_truth", "keras_vs_truth", "device_vs_keras"]
    page = (tmp_path / "report.html").read_text()
    assert "Confusion matrix" in page
    assert "device against truth" in page


def test_a_report_never_replaces_what_is_read(model: Path, tmp_path: Path) -> None:
    x = tmp_path / "worst.npz"
    np.savez(x, x=np.zeros((1, 2, 3), np.float32))
    before = x.read_bytes()
    arguments = ["validate", str(model), "--native", "--report", str(tmp_path)]
    assert run([*arguments, "--inputs", str(x)]) == 2
    assert run([*arguments, "--json", str(tmp_path / "report.json")]) == 2
    assert x.read_bytes() == before
    assert names(tmp_path) == {"worst.npz"}


def test_a_report_of_qemu_says_what_a_step_costs_in_instructions(model: Path, tmp_path: Path) -> None:
    arguments = ["validate", str(model), "--qemu", "--batch", "1", "--steps", "20"]
    assert run([*arguments, "--report", str(tmp_path / "report")]) == 0
    record = record_in(tmp_path / "report")
    timing, fpscr = record["timing"], record["firmware"]["fpscr"]
    assert (fpscr["rounding"], fpscr["flush_to_zero"], fpscr["default_nan"]) == ("nearest", False, False)
    assert fpscr["happened"] == ["inexact"]
    assert timing["tick_unit"] == "instructions"
    assert 1000 < timing["ticks_per_step"] < 20_000
    page = (tmp_path / "report" / "report.html").read_text()
    step = timing["step_ticks"]
    assert step["counted"] == 20
    assert step["min"] <= step["median"] <= step["p99"] <= step["max"] < 1.5 * step["min"]
    assert f"{step['median']:.0f} instructions per time step: median of 20, each asked alone" in page
    assert (timing["us_per_step"], timing["link_share"]) == (None, None), "no cycles, no time"
    assert f'name="instructions_median" value="{step["median"]}"' in (tmp_path / "report" / "junit.xml").read_text()
    assert run([*arguments, "--json", str(tmp_path / "r.json")]) == 0
    assert json.loads((tmp_path / "r.json").read_text())["timing"]["tick_unit"] is None, "it was not started to count"
