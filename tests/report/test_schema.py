"""The committed schema describes the record, and docs/REPORT.md names every field of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

import seeds
from harness.build.paths import project_root
from harness.model.inputs import random_inputs
from harness.model.trace import TraceLevel
from report_runs import made_run, record
from report_schema import SCHEMA, check_record


def nan(got: dict[str, Any]) -> None:
    got["lstm.h"][0, 0, 0] = float("nan")


def test_records_without_a_device() -> None:
    spec = seeds.rows_of_an_image()
    check_record(record(made_run()))
    check_record(record(made_run(change=nan)))
    check_record(record(made_run(spec, random_inputs(spec, batch=2), level=TraceLevel.GATES)))


@pytest.mark.parametrize("change", [{"verdict": "MAYBE"}, {"new_field": 1}, {"exit_code": "0"}, {"tensors": [{}]}])
def test_another_record_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        check_record({**record(made_run()), **change})


def test_the_documentation_names_every_field() -> None:
    text = (project_root() / "docs" / "REPORT.md").read_text(encoding="utf-8")
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    for name in (*schema["$defs"]["validation"]["properties"], *schema["$defs"]["tensor"]["properties"]):
        assert f"`{name}`" in text, name
