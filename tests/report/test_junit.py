"""junit.xml as Jenkins, GitLab and their like read it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from harness.diagnosis.bisection import Bisection, Place
from harness.diagnosis.explain import Diagnosis, Explanation
from harness.errors import TargetUnavailable
from harness.report.junit import junit_xml
from harness.report.testcase import properties
from harness.validation import Validation
from report_runs import made_run, record

ATTRIBUTES = {
    "testsuites": {"name", "time", "tests", "failures", "errors"},
    "testsuite": {
        "name", "tests", "failures", "errors", "group", "time", "skipped", "timestamp", "hostname", "id", "package",
        "file", "log", "url", "version",
    },
    "properties": set(),
    "property": {"name", "value"},
    "testcase": {"name", "time", "classname", "group"},
    "failure": {"type", "message"},
    "error": {"type", "message"},
}  # fmt: skip
"""What Jenkins' junit-10.xsd allows (jenkinsci/xunit-plugin): what is written was validated with it as of 2026-11."""

REQUIRED = {
    "testsuite": {"name", "tests", "failures", "errors"},
    "property": {"name", "value"},
    "testcase": {"name"},
}

CHILDREN = {
    "testsuites": {"testsuite"},
    "testsuite": {"properties", "testcase"},
    "properties": {"property"},
    "testcase": {"failure", "error"},
}

TIME = re.compile(r"[0-9]+\.[0-9]{3}")
"""Some copies of the schema take no more than three decimals, and none an exponent."""


def read(*records: dict[str, Any]) -> ElementTree.Element:
    root = ElementTree.fromstring(junit_xml(records))
    for element in root.iter():
        assert REQUIRED.get(element.tag, set()) <= set(element.attrib) <= ATTRIBUTES[element.tag]
        assert {child.tag for child in element} <= CHILDREN.get(element.tag, set())
        assert TIME.fullmatch(element.get("time", "0.000"))
        assert element.tag in ("failure", "error") or not (element.text or "").strip(), "text is only in these"
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


def test_a_failure_says_where_and_why_for_people_and_machines() -> None:
    run = made_run(change=add_one)
    first = Place("lstm.gates", "lstm", None, 2, 5, 1, "f", 0.5, 1.5, 1e5)
    run.bisection = Bisection(first, "local")
    mistake = Diagnosis("swap_gates_f_c", None, 2e-7, 0.1, "gates f and c are swapped")
    run.explanation = Explanation((mistake,), unchanged=False, residual=1.0, tried=9, note="")
    (failure, *_) = read(record(run)).iter("failure")
    lines = (failure.text or "").splitlines()
    assert lines[1].startswith("where: first beyond tolerance is seq 2 step 5 gate f unit 1 of lstm.gates")
    assert "why: swap_gates_f_c: matches within 2e-07 if gates f and c are swapped" in lines
    assert lines[-1].startswith("again: hil validate")
    found = dict(properties(run, "hil again", {}))
    assert found["hil_where"] == "seq=2 step=5 unit=1 gate=f tensor=lstm.gates expected=0.5 got=1.5"
    assert found["hil_why"] == "swap_gates_f_c residual=2e-07: matches within 2e-07 if gates f and c are swapped"
    passed = dict(properties(made_run(), "hil again", {}))
    assert not {"hil_where", "hil_why"} & set(passed)


def test_no_verdict_is_an_error() -> None:
    run = Validation(Path("m\x1b.keras"))
    run.error = TargetUnavailable("no \x00 board <there>", remedy="plug it in")
    root = read(record(run))
    assert (root.get("tests"), root.get("errors"), root.get("failures")) == ("1", "1", "0")
    error = next(root.iter("error"))
    assert error.get("type") == "target_unavailable"
    assert "plug it in" in (error.text or "")
