"""All findings, in the order in which `hil doctor` looks for them: what others rest on comes first."""

from __future__ import annotations

from harness.findings.board import BOARD_FINDINGS
from harness.findings.flashing import FLASH_FINDINGS
from harness.findings.line import LINE_FINDINGS
from harness.findings.machine import MACHINE_FINDINGS
from harness.findings.ports import PORT_FINDINGS

FINDINGS = (*MACHINE_FINDINGS, *PORT_FINDINGS, *LINE_FINDINGS, *BOARD_FINDINGS, *FLASH_FINDINGS)
