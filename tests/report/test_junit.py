"""junit.xml as Jenkins, GitLab and their like read it."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.errors import TargetUnavailable
from harness.report.junit import junit_xml
from harness.validation import Validation
from report_runs import made_run, record

ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "disabled", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
        "file", "log", "url", "version",
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "time", "classname", "group", "assertions", "status"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}  # fmt: skip
"""What Jenkins' junit-10.xsd allows."""


def read(*records: dict[str, Any]) -> ElementTree.Element:
    root = ElementTree.fromstring(junit_xml(records))
    for element in root.iter():
        assert set(element.attrib) <= ATTRIBUTES[element.tag]
    return root


def add_one(got: dict[str, Any]) -> None:
    got["lstm.h"] += 1


def test_a_case_for_each_model_and_each_tensor() -> None:
    root = read(record(made_run()))
    (suite,) = root
    assert [case.get("name") for case in suite.iter("testcase")] == [
        "validate", "lstm.h", "lstm.c", "lstm.h_last", "lstm.c_last", "output",
    ]  # fmt: skip
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "0", "0")
    assert {case.get("classname") for case in suite.iter("testcase")} == {"seed_keras"}
    assert "max_ulp" in {element.get("name") for element in suite.iter("property")}


def test_wrong_numbers_are_failures() -> None:
    root = read(record(made_run(change=add_one)), record(made_run()))
    assert [suite.get("failures") for suite in root] == ["2", "0"]
    assert root.get("failures") == "2"
    failure = next(root.iter("failure"))
    assert "beyond tolerance at seq" in failure.attrib["message"]
    assert "again: hil validate seed.keras" in (failure.text or "")


def test_no_verdict_is_an_error() -> None:
    run = Validation(Path("m\x1b.keras"))
    run.error = TargetUnavailable("no \x00 board <there>", remedy="plug it in")
    root = read(record(run))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("1", "1", "0")
    error = next(root.iter("error"))
    assert error.get("type") == "target_unavailable"
    assert "plug it in" in (error.text or "")
