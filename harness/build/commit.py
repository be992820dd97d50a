"""The git commit of the folder that a run is started in: of the models and tests that somebody keeps there."""

from __future__ import annotations

import os
import subprocess
from functools import lru_cache
from pathlib import Path

_TIMEOUT_S = 5.0
"""A report is not worth more of a wait: git looks at every file to say whether one has changed."""


def commit_here() -> dict[str, str | bool] | None:
    """`commit` (hash) and `dirty` (a file that git knows has changed); None: no git, or no commit.

    Looked up once for each folder, as the first report finds it.
    """
    return _commit_of(Path.cwd())


@lru_cache(maxsize=8)
def _commit_of(folder: Path) -> dict[str, str | bool] | None:
    commit = _git(folder, "rev-parse", "--verify", "--quiet", "HEAD")
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return None if not commit or changed is None else {"commit": commit, "dirty": bool(changed)}


def _git(folder: Path, *arguments: str) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}  # to look is not to write
    argv = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(
            argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.decode(errors="replace").strip() if done.returncode == 0 else None
