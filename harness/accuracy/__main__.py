"""Measures, and writes docs/ACCURACY.md: `python -m harness.accuracy`. Takes minutes; `--check` only reads."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from harness.accuracy.document import DOCUMENT_PATH, deviations, document
from harness.accuracy.figures import measure_all


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments ask for.

    Returns:
        The exit code: 1 where the check found something.
    """
    parser = argparse.ArgumentParser(prog="python -m harness.accuracy", description=__doc__)
    parser.add_argument(
        "--check", action="store_true", help="say where the document is not the template's; figures are not measured"
    )
    if parser.parse_args(arguments).check:
        found = list(deviations(DOCUMENT_PATH.read_text(encoding="utf-8")))
        sys.stdout.write("".join(f"{DOCUMENT_PATH.name}: {each}\n" for each in found))
        return int(bool(found))
    text = document(measure_all(lambda what: sys.stderr.write(f"measuring: {what}\n")))
    DOCUMENT_PATH.write_text(text, encoding="utf-8")
    sys.stdout.write(f"{DOCUMENT_PATH}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
