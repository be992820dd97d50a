"""docs/DIAGNOSIS.md names every mistake, in the words of the program."""

from __future__ import annotations

from harness.build.paths import project_root
from harness.diagnosis.mutations import MUTATIONS, WEIGHT_CORRUPTED


def test_the_table_is_that_of_the_program() -> None:
    lines = (project_root() / "docs" / "DIAGNOSIS.md").read_text().splitlines()
    start = next(place for place, line in enumerate(lines) if line.startswith("| `gate_order_<order>` |"))
    named = [each for each in (*MUTATIONS, WEIGHT_CORRUPTED) if not each.name.startswith("gate_order_")]
    assert lines[start + 1 : start + 1 + len(named)] == [f"| `{each.name}` | {each.text} |" for each in named]
