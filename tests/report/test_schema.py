"""The committed schema describes the record, and docs/REPORT.md names every field of it."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import seeds
from harness.build.paths import project_root
from harness.model.inputs import Inputs, random_inputs
from harness.model.trace import TraceLevel
from harness.protocol.messages import CountersReply, HelloReply
from harness.protocol.session import LinkCounters
from harness.protocol.wire import Capability, ClockSource, RunsOn, TickSource
from harness.report.junit import junit_xml
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


@pytest.mark.parametrize(
    ("values", "expected"),
    [([0.5, -2.0, 1.0], [-2.0, 1.0]), ([np.nan, 3.0, np.inf], [3.0, 3.0]), ([np.nan, np.nan, -np.inf], None)],
)
def test_the_range_of_the_inputs_is_of_numbers(values: list[float], expected: list[float] | None) -> None:
    run = made_run()
    run.inputs = Inputs(np.full((1, 1, 3), values, np.float32))
    found = record(run)
    check_record(found)
    assert found["inputs"]["range"] == expected


def test_firmware_says_what_it_can_do() -> None:
    run = made_run()
    run.hello = replace(HELLO, runs_on=RunsOn.NATIVE, capabilities=Capability.MASK | Capability.STORE_WRITE)
    found = record(run)
    check_record(found)
    assert found["firmware"]["capabilities"] == ["mask", "store_write"]


def test_every_run_has_an_id_of_its_own() -> None:
    first, second = record(made_run()), record(made_run())
    assert first["run"]["id"] != second["run"]["id"]
    assert f'<property name="run_id" value="{first["run"]["id"]}"' in junit_xml([first]).decode()
