"""What it is to a person that a file of theirs could not be written: a full disk is the same finding wherever it is."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import HilError, TargetUnavailable, UsageError
from harness.findings.kinds import Finding
from harness.findings.machine import MACHINE_FINDINGS

_DISK_FULL: Finding = next(finding for finding in MACHINE_FINDINGS if finding.id == "disk_full")


def is_full(error: OSError) -> bool:
    """Whether it is room that lacks: on the disk, or in the user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)


def not_written(
    path: Path, error: OSError, *, remedy: str = "name another file", code: str = "", verb: str = "written"
) -> HilError:
    """The error of somebody's file or folder that could not be written.

    Args:
        path: of the file or folder.
        error: the operating system's.
        remedy: what to do where the disk is not full.
        code: of the error then.
        verb: what it could not be.
    """
    if is_full(error):
        return _disk_full(str(path), error)
    return UsageError(f"{path} cannot be {verb}: {_reason(error)}", code=code, remedy=remedy)


@contextmanager
def writing(path: Path, *, remedy: str = "name another file") -> Iterator[None]:
    """Inside, somebody's file is written, in a folder that is made if it is not there.

    Raises:
        HilError: what `not_written` gives.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise not_written(path, error, remedy=remedy) from error


def machine_error(error: OSError) -> HilError:
    """What an error of the operating system is, where nobody could say more."""
    if is_full(error):
        return _disk_full("what is to be written" if error.filename is None else str(error.filename), error)
    return TargetUnavailable(
        f"this machine got in the way: {error}", code="operating_system", remedy="look at the disk and its rights"
    )


def _disk_full(path: str, error: OSError) -> HilError:
    return _DISK_FULL.with_facts(path=path, reason=_reason(error))


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
