"""`hil bench --link`: goodput of the link."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.app import run
from harness.link_bench.run import BAUDS
from report_schema import check_record


def test_the_figures_are_those_of_the_line_and_not_of_this_machine(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [tmp_path / "new" / "link.json", tmp_path / "again.json"]
    assert run(["bench", "--link", "--native", "--json", str(paths[0])]) == 0
    monkeypatch.setattr("harness.link_bench.run.BAUDS", BAUDS[-1:])
    assert run(["bench", "--link", "--native", "--json", str(paths[1])]) == 0
    record, again = (json.loads(path.read_text()) for path in paths)
    assert record["rows"][-2:] == again["rows"], "virtual time: the same to the last digit"
    check_record(record, "bench_link")
    assert record["time"] == "virtual"
    assert [(row["direction"], row["baud"]) for row in record["rows"]] == [
        (direction, baud) for baud in BAUDS for direction in ("to_device", "to_host")
    ]
    for row in record["rows"]:
        assert row["payload_bytes"] >= 100_000
        assert row["payload_bytes"] < row["line_bytes"]
        assert row["goodput"] == pytest.approx(row["payload_bytes"] * 10 / (row["baud"] * row["time_s"]), abs=1e-5)
        assert 0.97 <= row["goodput"] < 1
    assert "goodput" in capsys.readouterr().out


def test_shapes_are_not_for_the_link(tmp_path: Path) -> None:
    path = tmp_path / "link.json"
    assert run(["bench", "--link", "--native", "--shape", "1,3", "--json", str(path)]) == 2
    assert not path.exists()
