"""junit.xml: what Jenkins, GitLab and their like read. A test case for each model and one for each of its tensors.

A value out of tolerance is a failure, whatever kept values from being compared an error. The elements and attributes
are those of Jenkins' junit-10.xsd.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from xml.etree import ElementTree

from harness.report.page import place_text
from harness.report.text import printable
from harness.report.timing import median_of

Record = Mapping[str, Any]


def junit_xml(records: Iterable[Record]) -> bytes:
    """The file of one or several runs.

    Args:
        records: of validations.
    """
    suites = ElementTree.Element("testsuites", name="lstm-hil")
    for record in records:
        suites.append(_suite(record))
    for count in ("tests", "failures", "errors"):
        suites.set(count, str(sum(int(suite.get(count, "0")) for suite in suites)))
    ElementTree.indent(suites)
    text: str = ElementTree.tostring(suites, encoding="unicode")
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'.encode(errors="replace")


def _suite(record: Record) -> ElementTree.Element:
    name = _name(record)
    cases = [_model_case(record, name), *(_tensor_case(each, name) for each in record["tensors"])]
    run = record["run"]
    suite = ElementTree.Element(
        "testsuite",
        name=name,
        tests=str(len(cases)),
        failures=str(sum(case.find("failure") is not None for case in cases)),
        errors=str(sum(case.find("error") is not None for case in cases)),
        skipped="0",
        time=f"{run['duration_s']:.3f}",
        timestamp=run["started"].partition("+")[0],
        hostname=printable(run["host"]),
    )
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in _properties(record).items():
        ElementTree.SubElement(properties, "property", name=key, value=printable(str(value)))
    suite.extend(cases)
    return suite


def _model_case(record: Record, name: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=name, name="validate", time=f"{record['run']['duration_s']:.3f}")
    error = record["error"]
    if error is not None:
        told = ElementTree.SubElement(case, "error", type=error["code"], message=printable(error["message"]))
        told.text = printable(f"{error['message']}\nat fault: {error['fault']}\nwhat to do: {error['remedy']}")
    elif record["verdict"] == "FAIL":
        told = ElementTree.SubElement(case, "failure", type="FAIL", message=printable(record["summary"]))
        told.text = printable("\n".join([record["summary"], *_findings(record)]))
    return case


def _findings(record: Record) -> list[str]:
    """Where it is wrong, why, and how to have it again."""
    bisect, again, of = record["bisect"], record["run"]["command"], {"device": "why", "expected": "the expected values"}
    is_wrong = bisect is not None and bisect["cause"] != "none"
    lines = [] if not is_wrong else [f"where: {line}" for line in bisect["text"].split("; ")]
    lines += [f"{of[each['of']]}: {each['name']}: {each['text']}" for each in record["diagnosis"]]
    lines += [f"why: {record['diagnosis_note']}"] if record["diagnosis_note"] else []
    return [*lines, f"again: {again}"] if again else lines


def _tensor_case(tensor: Record, name: str) -> ElementTree.Element:
    case = ElementTree.Element("testcase", classname=name, name=printable(tensor["name"]), time="0.000")
    if not tensor["pass"]:
        message = tensor["problem"] or _beyond(tensor)
        told = ElementTree.SubElement(case, "failure", type="out_of_tolerance", message=printable(message))
        told.text = printable(message)
    return case


def _beyond(tensor: Record) -> str:
    worst = tensor["worst"]
    return (
        f"{tensor['beyond']} of {tensor['elements']} values beyond tolerance; worst at {place_text(tensor)}: "
        f"expected {worst['expected']}, got {worst['got']}"
    )


def _name(record: Record) -> str:
    """The model, and the layer that is validated alone; a dot would make folders of it in Jenkins."""
    model = record["model"]
    name = f"{model['file']}:{model['layer']}" if model.get("layer") else model["file"]
    return printable(name.replace(".", "_"))


def _properties(record: Record) -> dict[str, Any]:
    """What a trend is drawn of, and what tells one run from another."""
    firmware, weights, target = record["firmware"] or {}, record["weights"] or {}, record["target"]
    found = {
        "run_id": record["run"]["id"],
        "target": target["name"],
        "serial_number": target.get("serial_number"),
        "unique_id": target.get("unique_id") if target.get("chip") else None,
        "build_id": firmware.get("build_id"),
        "elf_sha256": firmware.get("elf_sha256"),
        "weights_crc32": weights.get("crc32_device"),
        "kernel": record["kernel"],
        "max_abs": max((float(each["max_abs"]) for each in record["tensors"]), default=None),
        "max_ulp": max((each["max_ulp"] for each in record["tensors"]), default=None),
        "share_of_tolerance": max((float(each["share"]) for each in record["tensors"]), default=None),
        **median_of(record["timing"]),
    }
    return {name: value for name, value in found.items() if value is not None}
