"""Puts the figures of `hil bench --link --json F` into docs/LINK.md: `python -m harness.link_bench.docgen F...`."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from harness.build.paths import project_root

_MARKED = re.compile(r"(<!-- goodput -->\n).*?(<!-- /goodput -->)", re.DOTALL)


def table(records: list[dict[str, Any]]) -> str:
    """The rows of all records, as a Markdown table."""
    lines = [
        "| target | time | baud | direction | payload, bytes | requests | goodput | what takes most of the rest |",
        "|---|---|---:|---|---:|---:|---:|---|",
    ]
    for record in records:
        where = f"| {record['target']['name']} | {record['time']}"
        lines += [
            f"{where} | {row['baud']:,} | {row['direction'].replace('_', ' ')} | {row['payload_bytes']:,} "
            f"| {row['requests']} | {row['goodput']:.1%} | {row['limit']} |"
            for row in record["rows"]
        ]
    return "\n".join(lines) + "\n"


def main(paths: list[str]) -> None:
    """Write the table of these records."""
    page = project_root() / "docs" / "LINK.md"
    text = page.read_text(encoding="utf-8")
    made = table([json.loads(Path(path).read_text(encoding="utf-8")) for path in paths])
    page.write_text(_MARKED.sub(lambda found: found[1] + made + found[2], text), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
