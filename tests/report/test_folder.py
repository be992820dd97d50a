"""A report's folder: every file at once or none, whatever the disk does."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.errors import ExitCode, HilError, UsageError
from harness.model.expected_file import ExpectedFile
from harness.model.inputs_file import load_inputs
from harness.report import folder as folder_module
from harness.report.folder import RUN_FILES, folder_named, forget_report, read_records, write_index, write_report
from harness.report.pictures import pictures_of
from harness.report.vectors import vectors, worst_inputs
from harness.validation import Validation
from report_runs import made_run, record


def add_one(got: dict[str, Any]) -> None:
    got["lstm.h"][2, 5, 1] += 1


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_all_files(tmp_path: Path) -> None:
    run = made_run()
    assert write_report(tmp_path / "new", run, record(run)) == tmp_path / "new" / "report.html"
    assert names(tmp_path / "new") == set(RUN_FILES)
    assert json.loads((tmp_path / "new" / "report.json").read_text()) == record(run)


def test_what_a_run_did_not_come_to_is_not_there(tmp_path: Path) -> None:
    run = Validation(Path("m.keras"))
    run.error = UsageError("no")
    write_report(tmp_path, run, record(run))
    assert names(tmp_path) == {"junit.xml", "report.html", "report.json"}


def test_vectors_hold_what_was_compared(tmp_path: Path) -> None:
    run = made_run(change=add_one)
    write_report(tmp_path, run, record(run))
    assert run.expected is not None
    with np.load(tmp_path / "vectors.npz", allow_pickle=False) as saved:
        assert set(saved) == set(vectors(run))
        assert saved["got.lstm.h"][2, 5, 1] - saved["expected.lstm.h"][2, 5, 1] == pytest.approx(1, abs=1e-5)
        assert saved["input.x"].shape == (4, 9, 3)


def test_vectors_and_pictures_are_of_the_values_that_were_judged_by() -> None:
    run = made_run()
    assert run.expected is not None
    given = run.expected.tensors["lstm.h"] + np.float32(1)
    run.expected_file = ExpectedFile(Path("y.npz"), {"lstm.h": given}, "0" * 64, ())
    arrays = vectors(run)
    np.testing.assert_array_equal(arrays["expected.lstm.h"], given)
    np.testing.assert_array_equal(arrays["keras.lstm.h"], run.expected.tensors["lstm.h"])
    np.testing.assert_array_equal(arrays["expected.lstm.c"], run.expected.tensors["lstm.c"])
    assert "keras.lstm.c" not in arrays
    (before, *_), (after, *_) = pictures_of(made_run()), pictures_of(run)
    assert before.svg != after.svg


def test_the_worst_sequence_can_be_run_again(tmp_path: Path) -> None:
    run = made_run(change=add_one)
    write_report(tmp_path, run, record(run))
    assert run.inputs is not None
    again = load_inputs(tmp_path / "worst.npz", seeds.random_lstm(3, 5))
    np.testing.assert_array_equal(again.x, run.inputs.x[2:3])


def test_of_a_fixed_batch_all_is_the_worst() -> None:
    from dataclasses import replace

    run = made_run(replace(seeds.random_lstm(3, 5), batch=4), change=add_one)
    assert worst_inputs(run)["x"].shape == (4, 9, 3)


def test_a_full_disk_leaves_what_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = made_run()
    write_report(tmp_path, old, record(old))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    run = made_run(change=add_one)
    for victim in ("write_text", "write_bytes"):
        with monkeypatch.context() as patched:
            patched.setattr(Path, victim, full)
            with pytest.raises(HilError, match="No space left") as caught:
                write_report(tmp_path, run, record(run))
        assert (caught.value.code, caught.value.exit_code) == ("disk_full", ExitCode.TARGET)
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_picture_that_cannot_be_drawn_takes_nothing_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr("harness.report.figures.heat_map", broken)
    run = made_run()
    write_report(tmp_path, run, record(run))
    page = (tmp_path / "report.html").read_text()
    assert "could not be drawn: ZeroDivisionError: surprise" in page
    assert "PASS" in page


def test_forgetting_touches_nothing_else(tmp_path: Path) -> None:
    run = made_run()
    write_report(tmp_path, run, record(run))
    (tmp_path / "notes.txt").write_text("mine")
    forget_report(tmp_path)
    assert names(tmp_path) == {"notes.txt"}


def test_an_index_of_what_is_there(tmp_path: Path) -> None:
    for name in ("a", "b"):
        run = made_run()
        write_report(tmp_path / name, run, record(run))
    records = read_records([tmp_path / name for name in ("a", "b", "never_written")])
    assert list(records) == ["a", "b"]
    write_index(tmp_path, records)
    assert (tmp_path / "junit.xml").read_text().count("<testsuite ") == 2
    assert "2 PASS" in (tmp_path / "index.html").read_text()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    run = made_run()
    with pytest.raises(UsageError):
        write_report(blocked / "report", run, record(run))
    assert folder_module.read_records([blocked]) == {}


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("tests/test_model.py::test_it[native]", "tests-test_model.py-test_it-native"),
        ("../../etc", "etc"),
        ("...", "run"),
        ("ä/ö", "run"),
        ("x" * 300, "x" * 150),
    ],
)
def test_a_folder_by_the_name_of_a_test(text: str, name: str) -> None:
    assert folder_named(text) == name
