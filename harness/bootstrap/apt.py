"""apt-get, driven without questions and with its words kept for when it fails."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness.errors import TargetUnavailable

LOCK_TIMEOUT_S: Final = 300
"""How long to wait for another package manager: a fresh cloud machine updates itself for minutes after it boots."""

LOCK_POLL_S: Final = 3.0

DEBIAN_VERSION: Final = Path("/etc/debian_version")
OS_RELEASE: Final = Path("/etc/os-release")
DEBIAN_LIKE: Final = re.compile(r"^ID(?:_LIKE)?=.*\b(?:debian|ubuntu)\b", re.MULTILINE)

PASSED_ON: Final = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
"""What sudo takes out of the environment and apt-get needs."""

LOCK_TAKEN: Final = re.compile(r"^E: (?:Could not get lock|Unable to lock)", re.MULTILINE)
SIZES: Final = re.compile(r"^(?:Need to get|After this operation)\b.*$", re.MULTILINE)

WAITING: Final = "another package manager is at work: waiting for it."

Say = Callable[[str], None]


def is_available() -> bool:
    """Whether this is a system that lives by apt-get; others may have one as a guest."""
    if shutil.which("apt-get") is None:
        return False
    return DEBIAN_VERSION.exists() or (OS_RELEASE.exists() and bool(DEBIAN_LIKE.search(OS_RELEASE.read_text("utf-8"))))


def prefix_with_rights() -> tuple[str, ...] | None:
    """What to put before a command that needs root, or None if that would take a password."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return ("sudo", "-n") if asked.returncode == 0 else None


def advice(packages: Sequence[str]) -> str:
    """What to tell people to run, so that they can paste it into a terminal."""
    is_root = os.geteuid() == 0
    sudo = "sudo " if not is_root and shutil.which("sudo") else ""
    install = f"apt-get install -y --no-install-recommends {' '.join(packages)}"
    return f"{'Run' if sudo or is_root else 'Run as root'}: {sudo}apt-get update && {sudo}{install}"


def install(packages: Sequence[str], prefix: Sequence[str], say: Say) -> None:
    """Install these packages and what they depend on, after saying what and how much.

    Raises:
        TargetUnavailable: apt-get could not; its last words are in the message.
    """
    apt_get = _AptGet(prefix, say)
    plan = _plan(packages)
    updated = plan is None
    if plan is None:  # a fresh image has no package lists at all, or has old ones without these names
        say("fetching the package lists (apt-get update).")
        apt_get.run("update")
        plan = _plan(packages)
    say(f"installing {' '.join(packages)} with apt-get. {plan or 'How much it is, apt-get does not say.'}")
    install_command = ("install", "-y", "--no-install-recommends", *packages)
    if apt_get.run(*install_command) == 0:
        return
    if not updated and apt_get.run("update") == 0 and apt_get.run(*install_command) == 0:  # the lists were old
        return
    raise TargetUnavailable(
        f"apt-get could not install {' '.join(packages)}. Its last words:\n{apt_get.last_words}",
        code="apt_failed",
        remedy=f"{advice(packages)}\nIf dpkg was interrupted earlier, first (as root): dpkg --configure -a",
    )


def _plan(packages: Sequence[str]) -> str | None:
    """How much apt-get would fetch and unpack, or None if it knows no such packages. Changes nothing."""
    asked = subprocess.run(
        ["apt-get", "install", "--print-uris", "-y", "--no-install-recommends", *packages],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LC_ALL": "C"},
    )
    return " ".join(SIZES.findall(asked.stdout)) if asked.returncode == 0 else None


class _AptGet:
    """Runs apt-get with root's rights; `last_words` is what it said in the last run."""

    def __init__(self, prefix: Sequence[str], say: Say) -> None:
        proxies = [f"{name}={os.environ[name]}" for name in PASSED_ON if name in os.environ]
        self._command = [
            *prefix,
            *("env", "LC_ALL=C", "DEBIAN_FRONTEND=noninteractive", *proxies),
            *("apt-get", "-q", "-o", f"DPkg::Lock::Timeout={LOCK_TIMEOUT_S}", "-o", "Dpkg::Use-Pty=0"),
        ]
        self._say = say
        self.last_words = ""

    def run(self, *arguments: str) -> int:
        """Run one apt-get command to its end.

        apt-get itself waits for dpkg's lock, but not for the ones of its lists and archives: that is done here.
        """
        deadline = time.monotonic() + LOCK_TIMEOUT_S
        waiting = False
        while True:
            code, words = self._run_once(arguments)
            self.last_words = "\n".join(words[-12:])
            if code == 0 or not LOCK_TAKEN.search("\n".join(words)) or time.monotonic() > deadline:
                return code
            if not waiting:
                self._say(WAITING)
                waiting = True
            time.sleep(LOCK_POLL_S)

    def _run_once(self, arguments: Sequence[str]) -> tuple[int, list[str]]:
        words: list[str] = []
        with subprocess.Popen(
            [*self._command, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        ) as child:
            try:
                self._listen(child, words)
            except BaseException:
                # apt-get has had the Ctrl-C as well and stops where it is safe; to kill it would leave dpkg half done.
                self._say("stopping; waiting for apt-get to come to a safe end.")
                self._listen(child, words)
                raise
        return child.returncode, words

    def _listen(self, child: subprocess.Popen[str], words: list[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            words.append(line.rstrip())
            if line.startswith("Waiting for cache lock") and words.count(words[-1]) == 1:
                self._say(WAITING)
