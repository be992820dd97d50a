"""Whether anything that a build depends on has changed."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from harness.build.paths import project_root


def files_under(*directories: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """The files of these suffixes at any depth, in an order that is always the same."""
    found = {path for directory in directories for path in directory.rglob("*") if path.suffix in suffixes}
    return sorted(path for path in found if path.is_file())


def digest(files: Iterable[Path], facts: Any) -> str:
    """A hash over the contents and the names of files, and over anything that JSON can hold.

    Files of the project count by their name inside it, so that the hash is the same in every clone.
    """
    root = project_root()
    hasher = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for path in files:
        name = path.relative_to(root) if path.is_relative_to(root) else path
        content = path.read_bytes()
        hasher.update(f"\0{name.as_posix()}\0{len(content)}\0".encode())
        hasher.update(content)
    return hasher.hexdigest()


def tool_identity(program: str | Path) -> list[str | int] | None:
    """What tells one version of a program from another without running it; None where it is not there."""
    found = shutil.which(program)
    if found is None:
        return None
    path = os.path.realpath(found)
    status = os.stat(path)
    return [path, status.st_mtime_ns, status.st_size]
