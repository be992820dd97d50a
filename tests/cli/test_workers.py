"""`hil validate MODEL... -j N`: the results, files and exit codes of one worker, whatever happens to the workers."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.app import run
from marked_processes import descendants, is_running
from patience import PATIENCE_S, wait_until
from report_schema import check_record

COUNT = 5
HIL = [sys.executable, "-m", "harness"]


def without_times(path: Path) -> dict[str, Any]:
    """A record without what differs from run to run."""
    record: dict[str, Any] = json.loads(path.read_text())
    check_record(record)
    for part in ("run", "timing", "link"):
        del record[part]
    if record["oracle"] is not None:
        del record["oracle"]["from_cache"]
    return record


def test_results_are_those_of_one_worker(
    weight_sets: list[Path], gru_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [str(path) for path in (*weight_sets[:2], gru_model, *weight_sets[2:])]
    for workers in (1, 2):
        folder = f"{tmp_path}/{workers}/"
        options = ["--native", "-j", str(workers), "--json", folder, "--save", folder]
        assert run(["validate", *names, *options]) == 2
        output = capsys.readouterr().out
        table = output.splitlines()[-1 - len(names) : -1]
        assert [line.split()[0] for line in table] == [Path(name).name for name in names], "in the order given"
        assert output.splitlines()[-1] == f"{COUNT} PASS, 1 ERROR"
        assert output.splitlines()[0] == "target  native" + (", 2 at once" if workers == 2 else "")
    for name in names:
        stem = Path(name).stem
        one, two = (without_times(tmp_path / workers / f"{stem}.json") for workers in ("1", "2"))
        assert one == two
        if one["verdict"] == "PASS":
            with np.load(tmp_path / "1" / f"{stem}.npz") as first, np.load(tmp_path / "2" / f"{stem}.npz") as second:
                assert sorted(first) == sorted(second)
                assert all(first[array].tobytes() == second[array].tobytes() for array in first)


def test_an_absent_target_is_told_for_each_model(
    weight_sets: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("RENODE_PATH", str(tmp_path / "nowhere"))
    assert run(["validate", *map(str, weight_sets), "--renode", "-j", "2"]) == 3
    assert capsys.readouterr().out.splitlines()[-1] == f"{COUNT} ERROR"


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-j", "0", "--native"], "at least 1"),
        (["-j", "2", "--board", "nucleo_f446re"], "more than the 1 given"),
        (["-j", "2", "--native", "--record", "link.rec"], "--record holds one session"),
    ],
)
def test_what_workers_cannot_do_is_refused(
    weight_sets: list[Path], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", *map(str, weight_sets), *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks at processes in /proc")
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_run_ends_all_and_keeps_what_is_done(
    weight_sets: list[Path], tmp_path: Path, number: int, code: int
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    for place, model in enumerate(weight_sets):
        size = 2 if place < 2 else 20000  # the first two are done at once, the next two take a minute
        np.savez(inputs / f"{model.stem}.npz", x=np.zeros((size, 50, 3), np.float32))
    records = tmp_path / "records"
    records.mkdir()
    old = records / "w3.json"
    old.write_text("{}")
    arguments = [
        "validate",
        *map(str, weight_sets),
        "--native",
        "-j",
        "2",
        "--inputs",
        str(inputs),
        "--json",
        f"{records}/",
    ]
    process = subprocess.Popen([*HIL, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    # It goes when w3 begins, which is given to whoever has done the second of w0 and w1.
    assert wait_until(lambda: not old.exists())
    children = descendants(process.pid)
    assert len(children) >= 2
    process.send_signal(number)
    if number == signal.SIGINT:  # and once more, for want of patience
        time.sleep(0.15)  # no event: whenever it comes
        process.send_signal(number)
    output, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == code
    assert complaints == ("interrupted\n" if number == signal.SIGINT else "")
    # Python's own resource tracker ends when it sees that we have.
    assert wait_until(lambda: not any(map(is_running, children)))
    ends = {path.stem: json.loads(path.read_text()) for path in records.glob("*.json")}
    assert [ends[stem]["verdict"] for stem in ("w0", "w1")] == ["PASS", "PASS"]
    begun = [end for stem, end in ends.items() if stem not in ("w0", "w1")]
    assert begun
    assert all(end["error"]["code"] == "interrupted" and end["exit_code"] == code for end in begun)
    told = [f"ERROR {end['model']['file']}: interrupted (exit {code})" for end in begun]
    assert sorted(output.splitlines()[-len(begun) :]) == sorted(told)


def test_a_pipe_gets_plain_lines(weight_sets: list[Path], monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    from harness.report import progress

    monkeypatch.setattr(progress, "_LINE_EVERY_S", 0.0)
    assert run(["validate", *map(str, weight_sets), "--native", "-j", "2"]) == 0
    output = capsys.readouterr().out
    told = [line for line in output.splitlines() if line.startswith("done  ")]
    assert [line.split(",")[0] for line in told] == [f"done    {done} of {COUNT}" for done in range(1, COUNT)]
    assert all(line.endswith(" left") for line in told)
    assert "\x1b" not in output
