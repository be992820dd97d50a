"""Acquires a labgrid place and keeps it until standard input ends, however that comes about; then releases it.

A process of its own, so that the place is free again also where the one that uses it was killed. A script of the
standard library alone: `python -I keeper.py CLIENT PLACE`. It prints one line of JSON when it has the place, or has not
got it:

    acquired    whether it is ours now
    error       what the client said, if something failed
    shown       what the client prints of the place
"""

import json
import os
import signal
import subprocess
import sys

_TIMEOUT_S = 30.0
"""The client takes 1 s. One that takes so long has lost its coordinator."""

_ENDS = {signal.SIGTERM, signal.SIGHUP}


def main(client: str, place: str) -> int:
    """Exit codes: 0 released, 1 never had it or could not release it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the end of the input is what tells us
    for number in _ENDS:
        signal.signal(number, lambda *_: sys.exit(1))
    # Nobody could tell whether a client that was broken off has acquired it, and only what is ours may be released.
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDS)
    error = _run(client, place, "acquire")[1]
    acquired = error is None
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDS)
        shown, problem = _run(client, place, "show")
        _tell({"acquired": acquired, "error": error or problem, "shown": shown})
        if acquired:
            sys.stdin.buffer.read()
    finally:
        if acquired:
            error = _run(client, place, "release")[1]
            if error is not None:
                sys.stderr.write(f"labgrid place {place} was not released: {error}\n")
    return 0 if error is None else 1


def _tell(answer: "dict[str, object]") -> None:
    try:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        # Nobody listens any more; Python would complain of the same pipe once more at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(client: str, place: str, command: str) -> tuple[str, "str | None"]:
    """What the client prints, and if it fails the last line of its complaints."""
    try:
        done = subprocess.run(
            [client, "--place", place, command],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return "", f"{client} did not answer within {_TIMEOUT_S:g} s"
    except OSError as problem:
        return "", f"{client} could not be started: {problem}"
    if done.returncode == 0:
        return done.stdout, None
    lines = (done.stderr.strip() or done.stdout.strip() or f"status {done.returncode}").splitlines()
    return done.stdout, lines[-1].removeprefix("labgrid-client: ").removeprefix("Error: ")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
