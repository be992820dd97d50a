"""From the launcher to the program.

On the path of every start: what only a set-up needs is imported inside `_set_up`.
"""

from __future__ import annotations

import os
import sys

from harness.bootstrap import stamp

MISLEADING = ("PYTHONHOME", "PYTHONPATH", "__PYVENV_LAUNCHER__")
"""Variables that would put other modules in front of the pinned ones. Many robotics set-ups export PYTHONPATH."""


def launch(root: str, arguments: list[str]) -> int:
    """Become the installed program; make its environment first if need be.

    Returns:
        An exit code, and only when the program could not be started.
    """
    dev = arguments[:1] == ["setup"] and "--dev" in arguments
    if not stamp.is_satisfied(root, dev) and (failed := _set_up(root, dev)):
        return failed
    # The script and not `-m harness`: that would look for modules in the user's folder first.
    python = stamp.venv_python(root)
    environ = {name: value for name, value in os.environ.items() if name not in MISLEADING}
    return os.execve(python, [python, stamp.venv_script(root), *arguments], environ)  # does not return


def _set_up(root: str, dev: bool) -> int:
    try:
        import signal

        from harness.bootstrap import environment
        from harness.errors import HilError
    except ImportError as problem:  # Debian's python3-minimal is a part of the standard library
        sys.stderr.write(f"hil: this Python is incomplete ({problem}): apt-get install python3\n")
        return 3

    for ended in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(ended, lambda number, _: sys.exit(128 + number))
    try:
        environment.prepare(root, dev=dev)
    except HilError as error:
        sys.stderr.write(f"error ({error.fault}): {error.message}\nwhat to do: {error.remedy}\n")
        return int(error.exit_code)
    return 0
