"""A folder for the files of one run of an emulator, which goes with it; of a run that was killed, with the next one.

Its owner holds a lock in it, which the kernel gives back however the owner ends.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path

_LOCK = "lock"

_YOUNG_S = 60.0
"""So long a folder without a locked lock is left alone: its owner may be about to lock it."""


class Scratch:
    """A new folder.

    Args:
        kind: of the emulator; part of its name.

    Attributes:
        path: the folder.
    """

    def __init__(self, kind: str) -> None:
        from filelock import FileLock

        prefix = f"hil-{kind}-"
        _remove_abandoned(prefix)
        self._folder = tempfile.TemporaryDirectory(prefix=prefix)
        self.path = Path(self._folder.name)
        self._lock = FileLock(self.path / _LOCK, thread_local=False)
        self._lock.acquire(timeout=0)

    def remove(self) -> None:
        """Remove it with all that is in it; may be done twice."""
        self._lock.release()
        self._folder.cleanup()


def _remove_abandoned(prefix: str) -> None:
    """Remove the folders of this user whose owners are gone."""
    from filelock import FileLock, Timeout

    for folder in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with suppress(OSError, Timeout):
            known = folder.lstat()
            is_ours = not hasattr(os, "getuid") or known.st_uid == os.getuid()
            if is_ours and folder.is_dir() and not folder.is_symlink() and time.time() - known.st_mtime > _YOUNG_S:
                with FileLock(folder / _LOCK).acquire(timeout=0):
                    shutil.rmtree(folder)
