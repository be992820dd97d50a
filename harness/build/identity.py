"""Which program this is, to the letter: two machines that say the same compute the same."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

from harness import __version__
from harness.build.paths import project_root

_PACKAGE = Path(__file__).resolve().parents[1]

_SHOWN_LETTERS = 12
"""Of a SHA-256, to tell builds of one version apart."""


@lru_cache
def program_identity() -> str:
    """`0.1.0 (3f786850e387)`: the version, and a hash over the harness' sources and those of the firmware.

    Raises:
        TargetUnavailable: the firmware's sources are not here.
    """
    root = project_root()
    harness = [(_PACKAGE, path) for path in _PACKAGE.rglob("*.py") if "_project" not in path.parts]
    firmware = [(root, path) for path in (root / "firmware").rglob("*") if path.suffix != ".pyc" and path.is_file()]
    digest = hashlib.sha256()
    for base, path in sorted([*harness, *firmware, (root, root / "platformio.ini")]):
        content = path.read_bytes()
        digest.update(f"\0{path.relative_to(base).as_posix()}\0{len(content)}\0".encode())
        digest.update(content)
    return f"{__version__} ({digest.hexdigest()[:_SHOWN_LETTERS]})"
