"""Writes what goes over a link to a file, as it goes: a program that is killed leaves all that it has said and heard.

with Recording(path, {"kind": "qemu"}) as recording:
    line = recording.line(target.start(), "qemu")
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from harness import __version__
from harness.errors import HilError
from harness.findings.writing import not_written
from harness.reading import printable
from harness.transport.base import Transport, baud_of, set_baud
from harness.transport.link_record import MAX_DATA_BYTES, OVERHEAD_BYTES, EntryKind, header_line, packed

LIMIT_BYTES = 256 * 2**20
"""Where a recording stops by itself: six hours of a full line at 115200 baud, and nobody's disk. What is kept is the
beginning, since the end means nothing without the greeting and the image before it."""

BAUD_NOTE = "a line with a baud"
"""A host that may change the baud does more than others to find a device that is silent."""

_LAST_WORDS_BYTES = 1024
"""Room that is kept for the entries LIMIT and END."""


class Recording:
    """A file that lines are recorded in, one after another.

    A disk that is full or gone ends the recording, never the run: `problem` says so then.

    Args:
        path: the file; one that is there is written over.
        target: what the header says of the target.
        limit_bytes: the largest size of the file.
        clock: seconds that only go forward; tests bring their own.

    Raises:
        HilError: the file cannot be written.

    Attributes:
        path: the file.
        problem: why the file does not hold everything; None: it does.
        failure: the same, where it is not the limit but the disk.
    """

    def __init__(
        self,
        path: Path,
        target: dict[str, Any],
        *,
        limit_bytes: int = LIMIT_BYTES,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.problem: str | None = None
        self.failure: HilError | None = None
        self._limit_bytes = limit_bytes
        self._clock = clock
        self._start_s = clock()
        started = datetime.now(timezone.utc).isoformat(timespec="milliseconds")
        head = header_line({"hil_version": __version__, "started": started, "target": target})
        try:
            self._file = path.open("wb", buffering=0)  # each entry is one write: nothing waits in our memory
            try:
                self._file.write(head)
            except BaseException:
                self._file.close()
                raise
        except OSError as error:
            raise not_written(path, error) from error
        self._size_bytes = len(head)
        self._crc = zlib.crc32(head)
        self._is_open = True

    def line(self, line: Transport, name: str) -> Transport:
        """The same line, recorded from now on; one that is recorded here already stays as it is.

        Args:
            line: closed with the one that is returned.
            name: what is at its other end.
        """
        if isinstance(line, _RecordedLine):
            return line
        self.add(EntryKind.OPENED, printable(name).encode())
        if baud_of(line) is not None:
            self.note(BAUD_NOTE)
        return _RecordedLine(line, self)

    def note(self, text: str) -> None:
        """Put a remark into the file, for example which model follows, whose name need not be UTF-8."""
        self.add(EntryKind.NOTE, printable(text).encode())

    def add(self, kind: EntryKind, data: bytes = b"") -> None:
        """Write an entry, or several where the data is too long for one."""
        for start in range(0, max(len(data), 1), MAX_DATA_BYTES):
            self._add(kind, data[start : start + MAX_DATA_BYTES])

    def close(self) -> None:
        """End the file. May be called twice."""
        if self._is_open:
            self._write(EntryKind.END, b"")
        if self._is_open:
            self._is_open = False
            self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _add(self, kind: EntryKind, data: bytes) -> None:
        if self.problem is not None or not self._is_open:
            return
        if self._size_bytes + len(data) + OVERHEAD_BYTES + _LAST_WORDS_BYTES > self._limit_bytes:
            problem = f"the recording stopped at its limit of {self._limit_bytes} bytes"
            self._write(EntryKind.LIMIT, problem.encode())
            if self.failure is None:
                self.problem = problem
            return
        self._write(kind, data)

    def _write(self, kind: EntryKind, data: bytes) -> None:
        entry, crc = packed(kind, self._clock() - self._start_s, data, self._crc)
        try:
            written = self._file.write(entry)
            if written < len(entry):  # a disk with room for a part of it: the next write says what is wrong
                self._file.write(entry[written:])
        except OSError as error:
            self.failure = not_written(self.path, error)
            self.problem = self.problem or f"the recording stopped: {error.strerror}"
            self._give_up()
            return
        self._size_bytes += len(entry)
        self._crc = crc

    def _give_up(self) -> None:
        """Close the file, without the entry that did not fit."""
        self._is_open = False
        with suppress(OSError):  # a pipe, or a disk that is gone: what is there stays
            self._file.truncate(self._size_bytes)
        with suppress(OSError):
            self._file.close()


class _RecordedLine:
    """A line of which everything is recorded."""

    def __init__(self, line: Transport, recording: Recording) -> None:
        self._line = line
        self._recording = recording
        self._is_open = True

    def write(self, data: bytes) -> None:
        """Record, then send: what made a device fall over must be in the file."""
        self._recording.add(EntryKind.SENT, data)
        try:
            self._line.write(data)
        except HilError as error:
            self._failed("write", error)
            raise

    def read(self, timeout_s: float) -> bytes:
        """Read, then record."""
        try:
            data = self._line.read(timeout_s)
        except HilError as error:
            self._failed("read", error)
            raise
        if data:
            self._recording.add(EntryKind.RECEIVED, data)
        return data

    @property
    def baud(self) -> int | None:
        """That of the line."""
        return baud_of(self._line)

    def set_baud(self, baud: int) -> None:
        """Change that of the line, with a remark: what is recorded are bytes, not bits."""
        set_baud(self._line, baud)
        self._recording.note(f"{baud} baud")

    def close(self) -> None:
        """Close the line; the recording goes on for the next one."""
        if self._is_open:
            self._is_open = False
            self._recording.add(EntryKind.CLOSED)
        self._line.close()

    def _failed(self, during: str, error: HilError) -> None:
        fields = {
            "during": during,
            "error": type(error).__name__,
            "code": error.code,
            "message": error.message,
            "remedy": error.remedy,
        }
        self._recording.add(EntryKind.FAILED, json.dumps(fields).encode())
