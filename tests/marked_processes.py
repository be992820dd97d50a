"""Which processes somebody has started, and what they listen on: read from /proc, so Linux only."""

from __future__ import annotations

import os
import re
import socket
import struct
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path

from patience import wait_until

_LISTEN = "0A"  # TCP_LISTEN in /proc/net/tcp
_VARIABLE = "LSTM_HIL_TEST_MARK"


class Mark:
    """Marks a process, and all that comes of it, also what outlives its parent: by an environment variable."""

    def __init__(self) -> None:
        self._value = uuid.uuid4().hex
        self.env: Mapping[str, str] = {**os.environ, _VARIABLE: self._value}

    def processes(self) -> dict[int, str]:
        """Those that run: process id and command line."""
        wanted = f"{_VARIABLE}={self._value}".encode()
        found = {}
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and wanted in (entry / "environ").read_bytes() and is_running(int(entry.name)):
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
            except OSError:
                continue  # it has ended, or is not ours to look at
        return found


def descendants(process: int) -> list[int]:
    """Process ids of all that a process has started and that still has a living parent."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
    found = [process]
    for one in found:
        found += [pid for pid, parent in parents.items() if parent == one]
    return found[1:]


def is_running(process: int) -> bool:
    """Whether it is there and no zombie."""
    status = Path(f"/proc/{process}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def listening_on(processes: Iterable[int]) -> set[str]:
    """The addresses on which processes wait for TCP connections."""
    return {_address(where) for where in _listening_at(processes)}


def listening_port(process: int) -> int:
    """The port on which a process waits for TCP connections, once it does: for one that was told to take any."""
    assert wait_until(lambda: _listening_at([process]) or not is_running(process))
    (where,) = _listening_at([process])
    return int(where.partition(":")[2], 16)


def _listening_at(processes: Iterable[int]) -> set[str]:
    """The addresses and ports, as the kernel writes them."""
    sockets: dict[str, str] = {}
    inodes: set[str] = set()
    for pid in processes:
        for table in ("tcp", "tcp6"):
            try:
                sockets |= _listeners(Path(f"/proc/{pid}/net/{table}").read_text())
            except OSError:
                continue
        try:
            links = [os.readlink(path) for path in Path(f"/proc/{pid}/fd").iterdir()]
        except OSError:
            continue
        inodes |= {found.group(1) for link in links if (found := re.fullmatch(r"socket:\[(\d+)\]", link))}
    return {where for inode, where in sockets.items() if inode in inodes}


def listeners(table: str) -> dict[str, str]:
    """The listening sockets of /proc/net/tcp or tcp6: inode and address."""
    return {inode: _address(where) for inode, where in _listeners(table).items()}


def _listeners(table: str) -> dict[str, str]:
    """The same, with address and port as they stand there."""
    found = {}
    for line in table.splitlines()[1:]:
        fields = line.split()
        if fields[3] == _LISTEN:
            found[fields[9]] = fields[1]
    return found


def _address(where: str) -> str:
    text = where.partition(":")[0]
    # Words of 32 bits, each in the machine's order.
    words = [int(text[start : start + 8], 16) for start in range(0, len(text), 8)]
    family = socket.AF_INET if len(words) == 1 else socket.AF_INET6
    return socket.inet_ntop(family, b"".join(struct.pack("=I", word) for word in words))
