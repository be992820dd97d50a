"""The committed schema describes the record, and docs/REPORT.md names every field of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

import seeds
from harness.build.paths import project_root
from harness.model.inputs import random_inputs
from harness.model.trace import TraceLevel
from harness.protocol.messages import CountersReply, HelloReply
from harness.protocol.session import LinkCounters
from harness.protocol.wire import ClockSource, RunsOn, TickSource
from report_runs import made_run, record
from report_schema import SCHEMA, check_record

HELLO = HelloReply(tick_source=TickSource.NONE, clock_source=ClockSource.NONE, build_id=bytes(20))


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


def test_what_a_target_has_none_of_says_why() -> None:
    run = made_run()
    run.hello = replace(HELLO, runs_on=RunsOn.NATIVE)
    run.link, run.counters = LinkCounters(bytes_sent=100, bytes_received=200), CountersReply()
    found = record(run)
    check_record(found)
    assert found["memory"]["stack_bytes"] is None
    assert "a process of this machine" in found["memory"]["note"]
    assert found["timing"]["tick_unit"] is None
    assert "a process of this machine" in found["timing"]["note"]
    assert found["link"]["bytes_per_second"] == 300 / 0.5
    assert (found["target"]["chip"], found["target"]["chip_revision"]) == (None, None)


def test_a_chip_is_named_with_its_revision() -> None:
    run = made_run()
    run.hello = replace(HELLO, runs_on=RunsOn.CHIP, idcode=0x1000_6421)
    found = record(run)["target"]
    assert (found["chip"], found["chip_revision"]) == ("STM32F446RE", "0x1000")
