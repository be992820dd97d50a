"""Makes the generated parts of docs/TROUBLESHOOTING.md from the findings: `python -m harness.doctor.docgen`."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path

from harness.doctor.outcomes import Outcome, lines_of
from harness.findings import FINDINGS, Finding, found

DOCUMENT_PATH = Path(__file__).parents[2] / "docs" / "TROUBLESHOOTING.md"

_WIDTH = 110
"""Of the samples, so that no browser needs a scroll bar for them."""


def document(text: str) -> str:
    """`text` of TROUBLESHOOTING.md with its generated parts made anew."""
    for name, lines in (("findings", _table()), ("samples", _samples())):
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = "\n".join([before + start, *lines, end]) + rest.partition(end)[2]
    return text


def sample(finding: Finding) -> list[str]:
    """What is printed of a finding, by `hil doctor` or by the command that comes upon it, wrapped for the page."""
    error = found(finding.id, **finding.example)
    if finding.check.startswith("hil "):
        lines = [
            f"$ {finding.check}",
            f"error ({error.fault}): {error.message} [{error.code}]",
            f"what to do: {error.remedy}",
        ]
        return [line for text in lines for line in _wrapped(text, "")]
    outcome = Outcome(finding.check, "finding", error.message, error)
    return [line for text in lines_of(outcome) for line in _wrapped(text, " " * 22)]


def _table() -> list[str]:
    rows = [
        f"| [`{finding.id}`](#{finding.id}) | {int(finding.error.exit_code)} | {finding.title} |"
        for finding in FINDINGS
    ]
    return ["", "| finding | exit | what it is |", "|---|---:|---|", *rows, ""]


def _samples() -> list[str]:
    lines = [""]
    for finding in FINDINGS:
        lines += [f"### {finding.id}", "", f"{finding.title[0].upper()}{finding.title[1:]}.", "", "```"]
        lines += [*sample(finding), "```", ""]
    return lines


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, _WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


if __name__ == "__main__":
    DOCUMENT_PATH.write_text(document(DOCUMENT_PATH.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT_PATH}\n")
