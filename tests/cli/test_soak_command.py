"""`hil soak` on every target."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from harness.cli.app import run
from report_schema import check_record

EXCHANGES = {"native": 200, "renode": 20}
"""Of a test that should take a second or two; CI does more."""


@pytest.mark.hil_targets("native", "qemu", "renode")  # a board is one of its own: tests/targets has it
def test_right_bits_or_typed_errors(hil_kind: str, hil_workbench: object, tmp_path: Path) -> None:
    exchanges = EXCHANGES.get(hil_kind, 25)
    path = tmp_path / "new" / "soak.json"
    faults = "light,reset=0.04,disconnect=0.02"
    arguments = ["--faults", faults, "--exchanges", str(exchanges), "--seed", "1", "--json", str(path)]
    assert run(["soak", f"--{hil_kind}", *arguments]) == 0
    record = json.loads(path.read_text())
    check_record(record, "soak")
    assert record["target"]["kind"] == hil_kind
    assert record["seed"] == 1
    assert record["exchanges"] == exchanges
    assert record["wrong_numbers"] == record["hangs"] == 0
    assert record["right"] + sum(record["typed_errors"].values()) == exchanges
    assert record["right"] > exchanges / 2
    assert record["injected"]["reset"] > 0
    seen = record["typed_errors"].get("device_reset", 0) + record["typed_errors"].get("device_no_model", 0)
    assert seen + record["recoveries"] > 0


@pytest.mark.parametrize(
    "arguments", [["--faults", "loud"], ["--exchanges", "0"], ["--first", "-1"], ["--faults", "bits=2"]]
)
def test_nonsense_is_a_usage_error(arguments: list[str], tmp_path: Path) -> None:
    path = tmp_path / "soak.json"
    assert run(["soak", "--native", *arguments, "--json", str(path)]) == 2
    assert not path.exists()
