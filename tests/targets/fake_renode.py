"""A Renode that is none: it understands just what our script says, and has a fake device at its USART2.

`launcher` makes the program, with a way to misbehave if wanted.
"""

from __future__ import annotations

import os
import re
import select
import shlex
import signal
import subprocess
import sys
import time
import tty
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

KNOWN = {
    "mach": r"mach create",
    "platform": r"machine LoadPlatformDescription (@.*)",
    "elf": r"sysbus LoadELF (@.*)",
    "binary": r"sysbus LoadBinary (@.*) 0x[0-9a-f]{8}",
    "terminal": r'emulation CreateUartPtyTerminal "usart2" "(.*)" true',
    "connect": r"connector Connect sysbus\.usart2 usart2",
    "start": r"start",
}


def launcher(folder: Path, way: str = "good", device: Path | None = None) -> Path:
    """A program `renode`.

    Args:
        folder: where it is put.
        way: good, dies, script_error, no_terminal, silent, deaf (to the end of its input and to SIGTERM).
        device: a program that is the device, on its standard input and output; None: a fake one.
    """
    program = folder / "renode"
    # A script that starts the program, as in Renode's own packages: two processes.
    command = shlex.join([sys.executable, __file__, way, str(device or "")])
    program.write_text(f'#!/bin/sh\nPYTHONPATH={shlex.quote(str(ROOT))} {command} "$@"\n')
    program.chmod(0o755)
    return program


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    way, device, *arguments = sys.argv[1:]
    if "--version" in arguments:
        say("Renode v1.16.1.0 (fake)")
        return
    say("Renode, version 1.16.1.0 (fake)")
    assert {"--disable-xwt", "--plain", "--console"} <= set(arguments)
    if way == "dies":
        say("out of memory")
        sys.exit(134)
    script = arguments[arguments.index("--execute") + 1].removeprefix("include ")
    link = run_script(readable(script).read_text(), way)
    if link is None:
        while os.read(0, 100):  # it waits for commands
            pass
        return
    master, slave = os.openpty()  # as its termios come: the host has to make it raw
    if way == "deaf":  # before it is known to be ready
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.symlink(os.ttyname(slave), link)
    serve(master, answering(way, device), is_deaf=way == "deaf")
    os.unlink(link)


def run_script(text: str, way: str) -> str | None:
    """Where the pseudo-terminal is wanted; None where the script came to no start."""
    link = None
    for line in text.splitlines():
        name, match = next((n, m) for n, p in KNOWN.items() if (m := re.fullmatch(p, line)))
        if match.groups() and name != "terminal" and not readable(match.group(1)).is_file():
            say(f"There was an error executing command '{line}'\nCould not find file")
            return None
        if name == "platform" and way == "script_error":
            say(f"There was an error executing command '{line}'")
            time.sleep(0.2)  # as the real one: the reason comes later
            say("Error E39: no such type")
            return None
        if name == "terminal":
            link = match.group(1)
    assert line == "start"
    return None if way == "no_terminal" else link


def readable(path: str) -> Path:
    return Path(path.removeprefix("@").replace("\\ ", " "))


def answering(way: str, device: str) -> Callable[[bytes], bytes]:
    if way == "silent":
        return lambda data: b""
    if device:
        return Piped(device)
    from harness.fake import FakeDevice
    from harness.protocol.messages import HelloReply
    from harness.protocol.wire import RunsOn

    hello = HelloReply(max_payload_bytes=1040, arena_bytes=100000, runs_on=RunsOn.RENODE)
    return FakeDevice(hello=hello).receive


class Piped:
    def __init__(self, program: str) -> None:
        self.process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)

    def __call__(self, data: bytes) -> bytes:
        """Handed on at once; what comes back later comes with the next call."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        if data:
            self.process.stdin.write(data)
        ready, _, _ = select.select([self.process.stdout], [], [], 0)
        return os.read(self.process.stdout.fileno(), 65536) if ready else b""


def serve(master: int, answer: Callable[[bytes], bytes], *, is_deaf: bool) -> None:
    tty.setraw(master)
    while True:
        ready, _, _ = select.select([master] if is_deaf else [master, 0], [], [], 0.001)
        if 0 in ready and not os.read(0, 100):
            return
        sent = answer(os.read(master, 4096) if master in ready else b"")
        while sent:
            sent = sent[os.write(master, sent) :]


if __name__ == "__main__":
    main()
