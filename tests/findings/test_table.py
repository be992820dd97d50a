"""The table of findings: ids are unique and are the codes of the errors, texts can be filled in, exit codes agree."""

from __future__ import annotations

import ast
import re

import pytest

from harness import errors
from harness.build.paths import project_root
from harness.errors import HilError
from harness.findings import BY_ID, FINDINGS, Finding, found


@pytest.mark.parametrize("finding", FINDINGS, ids=lambda finding: finding.id)
def test_a_finding_says_what_it_is_and_what_to_do(finding: Finding) -> None:
    assert re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", finding.id)
    assert 2 <= finding.error.exit_code <= 8
    error = found(finding.id, **finding.example)
    assert type(error) is finding.error
    assert error.code == finding.id
    for text in (error.message, error.remedy, finding.title):
        assert len(text) > 10
        assert "\n" not in text
        assert "  " not in text
        assert not text.endswith(".")


def test_ids_are_unique() -> None:
    assert len(BY_ID) == len(FINDINGS)


def test_a_fact_that_is_missing_is_noticed() -> None:
    with pytest.raises(KeyError):
        found("port_busy", port="/dev/ttyACM0")


def test_who_raises_a_code_by_hand_agrees_with_the_table() -> None:
    """A code that is also a finding has the exit code of the finding, wherever it is raised."""
    for path in (project_root() / "harness").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            kind = getattr(errors, call.func.id, None) if isinstance(call.func, ast.Name) else None
            codes = [ast.unparse(keyword.value).strip("'") for keyword in call.keywords if keyword.arg == "code"]
            if codes and codes[0] in BY_ID and isinstance(kind, type) and issubclass(kind, HilError):
                assert BY_ID[codes[0]].error.exit_code == kind.exit_code, f"{path}: {codes[0]}"


def test_every_finding_is_raised_somewhere() -> None:
    sources = "".join(
        path.read_text() for path in (project_root() / "harness").rglob("*.py") if path.parent.name != "findings"
    )
    for finding in FINDINGS:
        assert f'"{finding.id}"' in sources, f"nobody raises {finding.id}"
