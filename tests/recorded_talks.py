"""Recorded talks with a fake device, for the tests of what reads records."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path

from harness.device import Device
from harness.fake import FakeDevice, FakeTransport
from harness.transport.link_record import Entry, LinkRecord
from harness.transport.recording import Recording

Talk = Callable[[Device], None]


class SlowTransport(FakeTransport):
    """A line on which writing takes time.

    Args:
        device: what is at the other end.
        write_s: how much.
    """

    def __init__(self, device: FakeDevice, write_s: float) -> None:
        super().__init__(device)
        self._write_s = write_s

    def write(self, data: bytes) -> None:
        """Send bytes, and let the time pass."""
        super().write(data)
        self.now_s += self._write_s


def recorded(path: Path, fake: FakeDevice, talk: Talk, *, look_s: float = 0.0, write_s: float = 0.0) -> list[Entry]:
    """The entries of a talk with a fake device; whatever the talk raises is raised after the file is complete.

    Args:
        path: where the record goes.
        fake: the device.
        talk: what the host does.
        look_s: time that each look at the clock takes, as everything does on a real machine.
        write_s: time that each write takes.
    """
    line = SlowTransport(fake, write_s)
    looks = count()

    def clock() -> float:
        return line.clock() + next(looks) * look_s

    with Recording(path, {"kind": "fake"}, clock=clock) as recording:
        device = Device(recording.line(line, "fake"), clock)
        try:
            talk(device)
        finally:
            device.close()
    return entries_of(path)


def entries_of(path: Path) -> list[Entry]:
    """All entries of a sound record."""
    with LinkRecord(path) as record:
        return list(record.entries())
