"""What can be wrong with a rig: one table of findings, and the errors made of it.

`hil doctor` looks for all of them; where another part of the harness comes upon one by itself, it raises the same error
with the same id and the same words. docs/TROUBLESHOOTING.md is generated from the table:
`python -m harness.doctor.docgen`.

    kinds        what a finding is
    table        all of them; machine, ports, board, line and flashing hold the rows, by what they are about
    writing      what could not be written: a full disk, or a place of the user's
"""

from __future__ import annotations

from harness.errors import HilError
from harness.findings.kinds import Finding
from harness.findings.table import FINDINGS

__all__ = ["BY_ID", "FINDINGS", "Finding", "found"]

BY_ID = {finding.id: finding for finding in FINDINGS}


def found(finding_id: str, **facts: object) -> HilError:
    """The error that a finding is.

    Args:
        finding_id: a `Finding.id`.
        facts: what its texts name in braces.

    Raises:
        KeyError: there is no such finding, or a fact is missing.
    """
    return BY_ID[finding_id].with_facts(**facts)
