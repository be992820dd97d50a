"""What the tests of the bootstrap run instead of apt-get, sudo, compilers, Python and pip."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from harness.bootstrap import stamp
from patience import PATIENCE_S, wait_until

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class FakePrograms:
    """A folder that is all of PATH, and a record of what was started from it."""

    folder: Path

    def add(self, name: str, body: str = "exit 0") -> None:
        path = self.folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> "{self.folder}/.calls"\n{body}\n')
        path.chmod(0o755)

    def remove(self, name: str) -> None:
        (self.folder / name).unlink()

    def calls(self, program: str = "") -> list[str]:
        log = self.folder / ".calls"
        lines = log.read_text().splitlines() if log.exists() else []
        return [line for line in lines if line.startswith(program)]


APT_GET = """
here="{folder}"
case "$*" in
*--print-uris*)
    [ -e "$here/.lists" ] || {{ echo "E: Unable to locate package" >&2; exit 100; }}
    echo "Need to get 46.0 MB of archives."
    echo "After this operation, 180 MB of additional disk space will be used." ;;
*update*) : > "$here/.lists" ;;
*install*)
    [ -e "$here/.locked" ] && {{ rm "$here/.locked"; echo "E: Could not get lock /var/lib/x."; exit 100; }}
    [ -e "$here/.broken" ] && {{ echo "E: dpkg was interrupted"; exit 100; }}
    for package; do [ -e "$here/.packages/$package" ] && cp "$here/.packages/$package" "$here/.new" \
        && cp "$here/.new" "$here/$(cat "$here/.packages/$package.name")"; done ;;
esac
exit 0
"""
"""Knows the packages in .packages beside it. The other files there make it fail: .locked once, .broken always."""

FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >> "$HOME/.calls"
case "$1 $2" in
"-m venv") mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
"-m pip")
    [ -e "$HOME/.pip_fails" ] && { echo "ERROR: no network"; exit 1; }
    looks=0
    while [ -e "$HOME/.pip_is_held" ] && [ "$((looks += 1))" -lt 3000 ]; do sleep 0.05; done
    env > "$HOME/.pip_environment"
    : > "${0%/*}/hil" ;;
*) shift; for word; do echo "[$word]"; done; env > "$HOME/.environment"; exit 5 ;;
esac
"""
"""Makes virtual environments with itself in them, is pip, and is the installed program (which ends with 5).

A held pip goes on after two and a half minutes, or it would outlive a test that was killed.
"""

START = """
import os, runpy, sys
sys._base_executable, sys.argv = sys.argv[1], sys.argv[2:]
sys.path.insert(0, os.path.dirname(os.path.realpath(sys.argv[0])))
from harness.bootstrap import environment
environment.DISK_MB = 0
runpy.run_path(sys.argv[0], run_name="__main__")
"""


@dataclass
class Project:
    """A copy of what the launcher needs, in a folder with a space in its name."""

    root: Path
    home: Path

    @property
    def hil(self) -> Path:
        return self.root / "hil"

    @property
    def is_stamped(self) -> bool:
        return bool(stamp.read(str(self.root)))

    def popen(self, *arguments: str, hil: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", START, str(self.home / "python"), str(hil or self.hil), *arguments],
            cwd=self.home,
            env={"PATH": os.environ["PATH"], "HOME": str(self.home), **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, *arguments: str, hil: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
        with self.popen(*arguments, hil=hil, **variables) as process:
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)

    def start_beside_held_pip(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Start while pip is held, which goes on once the start has said something."""
        with self.popen(*arguments) as process:
            assert process.stderr is not None
            first_line = process.stderr.readline()
            self.let_pip_go()
            stdout, stderr = process.communicate(timeout=PATIENCE_S)
        return subprocess.CompletedProcess(arguments, process.returncode, stdout, first_line + stderr)

    def hold_pip(self) -> None:
        self.note(".pip_is_held")

    def let_pip_go(self) -> None:
        (self.home / ".pip_is_held").unlink()

    def wait_for_pip(self) -> None:
        assert wait_until(lambda: self.calls("-m pip"), look_s=0.01), "pip was not started"

    def calls(self, word: str) -> list[str]:
        log = self.home / ".calls"
        return [line for line in log.read_text().splitlines() if word in line] if log.exists() else []

    def note(self, name: str, text: str = "") -> None:
        (self.home / name).write_text(text)
