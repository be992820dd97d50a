"""Who may use a device of this machine, and what this user lacks. POSIX; elsewhere little is known."""

from __future__ import annotations

import getpass
import os
import stat

_NO_RIGHTS_WINDOWS = "on Windows another program has it: end that"


def user_name() -> str:
    """Who we are, as a command line names it."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # by Python's version: a user without a name, as in a container
        return "this user"


def owner_of(path: str) -> str:
    """`root:dialout, mode 660`; empty where it cannot be told."""
    if os.name != "posix":
        return ""
    try:
        status = os.stat(path)
    except OSError:
        return ""
    owner, group = _user(status.st_uid), _group(status.st_gid)
    return f"{owner}:{group}, mode {stat.S_IMODE(status.st_mode):o}"


def may_use(path: str) -> bool:
    """Whether we may read and write it."""
    return os.access(path, os.R_OK | os.W_OK)


def how_to_open(path: str) -> str:
    """What helps a user who may not open a serial port."""
    if os.name != "posix":
        return _NO_RIGHTS_WINDOWS
    try:
        status = os.stat(path)
    except OSError:
        return "`sudo usermod -aG dialout $USER`, then log out and in again"
    group, user = _group(status.st_gid), user_name()
    group_may = (status.st_mode & 0o060) == 0o060 and status.st_gid != 0
    if not group_may:
        return (
            "no group may open it: the udev rule in docs/HARDWARE.md gives it to the group dialout; plug the board in "
            f"again after that (for now: `sudo chmod 666 {path}`)"
        )
    if status.st_gid in os.getgroups():
        return (
            "this user is in its group, so something else forbids it: a container that was not given the device, or "
            "SELinux or AppArmor"
        )
    if _is_member(user, status.st_gid):
        return (
            f"{user} is in the group {group} since after this session began: log out and in again (or `newgrp {group}`)"
        )
    return f"`sudo usermod -aG {group} {user}`, then log out and in again (until then: `newgrp {group}` in this shell)"


def _is_member(user: str, group_id: int) -> bool:
    import grp

    try:
        return user in grp.getgrgid(group_id).gr_mem
    except KeyError:
        return False


def _user(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return str(number)


def _group(number: int) -> str:
    import grp

    try:
        return grp.getgrgid(number).gr_name
    except KeyError:
        return str(number)
