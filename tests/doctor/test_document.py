"""docs/TROUBLESHOOTING.md and the table of findings are one."""

from __future__ import annotations

from harness.doctor import docgen
from harness.findings import FINDINGS


def test_the_document_is_up_to_date() -> None:
    text = docgen.DOCUMENT_PATH.read_text()
    assert text == docgen.document(text), "run python -m harness.doctor.docgen"


def test_every_finding_has_a_row_and_a_sample() -> None:
    text = docgen.DOCUMENT_PATH.read_text()
    for finding in FINDINGS:
        assert f"[`{finding.id}`](#{finding.id})" in text
        assert f"### {finding.id}\n" in text
        assert "\n".join(docgen.sample(finding)) in text
