"""The file that a recorded link is kept in: every byte with its direction and time. docs/PROTOCOL.md describes it.

A line of JSON says what it is; entries follow, each with a CRC-32 over the whole file so far, so that what is shown of
a record is what was on the line. Reading is lazy and trusts nothing: a cut or damaged file gives its sound part first.
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum, unique
from pathlib import Path
from typing import IO, Any

from harness.errors import UsageError
from harness.reading import printable, refuse_pipe

FORMAT = "lstm-hil/link-record/1"
"""Name and version; the version goes up when an old reader would misread a new file."""

MAX_DATA_BYTES = 65536
"""Largest entry: what one read of a transport gives at most. A length beyond it is damage, and reserves no memory."""

_MAX_HEADER_BYTES = 4096
"""A few short fields; a file without a line break is none of ours and is not read whole."""

_HEAD = struct.Struct("<BxxxIQ")  # kind, size of the data in bytes, microseconds since the start
_CRC = struct.Struct("<I")

OVERHEAD_BYTES = _HEAD.size + _CRC.size
"""What an entry takes beside its data."""


@unique
class EntryKind(IntEnum):
    """What an entry is."""

    OPENED = 1
    SENT = 2
    RECEIVED = 3
    FAILED = 4
    CLOSED = 5
    NOTE = 6
    LIMIT = 7
    END = 8


@dataclass(frozen=True)
class Entry:
    """Something that happened on the line.

    Attributes:
        kind: SENT and RECEIVED are bytes as seen from the host; OPENED, NOTE and LIMIT hold a text, FAILED a JSON
            object (`during`, `error`, `code`, `message`, `remedy`); CLOSED and END are empty.
        time_s: seconds since the recording began.
        data: the bytes.
    """

    kind: EntryKind
    time_s: float
    data: bytes = b""

    @property
    def text(self) -> str:
        """The data as text, without anything that a terminal would obey."""
        return printable(self.data.decode("utf-8", "replace"))


def header_line(fields: dict[str, Any]) -> bytes:
    """The first line of a file."""
    return json.dumps({"format": FORMAT, **fields}).encode() + b"\n"


def packed(kind: EntryKind, time_s: float, data: bytes, crc: int) -> tuple[bytes, int]:
    """An entry's bytes, and the CRC-32 of the file up to it.

    Args:
        kind: what it is.
        time_s: seconds since the start.
        data: at most MAX_DATA_BYTES.
        crc: of the file before it; no entry's own CRC takes part, which would make all sums alike.
    """
    # Rounded down: a replay's clock must never be ahead of the recorded one's, or it gives up what was still in time.
    body = _HEAD.pack(kind, len(data), int(time_s * 1e6)) + data
    crc = zlib.crc32(body, crc)
    return body + _CRC.pack(crc), crc


class LinkRecord:
    """A record, open for reading.

    Args:
        path: the file.

    Raises:
        UsageError: it cannot be read, or is no record that this version knows.

    Attributes:
        header: the fields of the first line; whoever wrote the file chose them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            refuse_pipe(path)
            self._file: IO[bytes] = path.open("rb")
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}", remedy="name a file of --record") from error
        try:
            self.header, self._crc = self._read_header()
        except BaseException:
            self._file.close()
            raise

    def entries(self) -> Iterator[Entry]:
        """All entries in order, once.

        Raises:
            UsageError: the file is cut or damaged here; everything before was sound.
        """
        number = 0
        while head := self._read(_HEAD.size):
            number += 1
            kind_number, size_bytes, time_us = _HEAD.unpack(head) if len(head) == _HEAD.size else (0, 0, 0)
            if len(head) < _HEAD.size:
                raise self._damaged(number, "is cut short", "record_cut")
            if size_bytes > MAX_DATA_BYTES:
                raise self._damaged(number, f"claims {size_bytes} bytes, at most {MAX_DATA_BYTES}", "record_damaged")
            data = self._read(size_bytes)
            sent_crc = self._read(_CRC.size)
            if len(data) < size_bytes or len(sent_crc) < _CRC.size:
                raise self._damaged(number, "is cut short", "record_cut")
            self._crc = zlib.crc32(data, zlib.crc32(head, self._crc))
            if _CRC.pack(self._crc) != sent_crc:
                raise self._damaged(number, "does not have the CRC-32 that it was written with", "record_damaged")
            try:
                kind = EntryKind(kind_number)
            except ValueError as error:
                raise self._damaged(number, f"is of the unknown kind {kind_number}", "record_unknown") from error
            yield Entry(kind, time_us / 1e6, data)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def __enter__(self) -> LinkRecord:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self, size_bytes: int) -> bytes:
        try:
            return self._file.read(size_bytes)
        except OSError as error:
            raise UsageError(f"{self._path} cannot be read: {error.strerror}", remedy="copy it again") from error

    def _read_header(self) -> tuple[dict[str, Any], int]:
        try:
            line = self._file.readline(_MAX_HEADER_BYTES)
        except OSError as error:  # a folder opens, and cannot be read
            raise UsageError(f"{self._path} cannot be read: {error.strerror}", remedy="name a file") from error
        try:
            header = json.loads(line)
        except (ValueError, RecursionError):
            header = None
        name = header.get("format") if isinstance(header, dict) else None
        if not isinstance(name, str) or not name.startswith("lstm-hil/link-record/") or not line.endswith(b"\n"):
            raise UsageError(
                f"{self._path} is no record of a link",
                code="not_a_record",
                remedy="name a file that `hil validate --record` wrote",
            )
        if name != FORMAT:
            raise UsageError(
                f"{self._path} is a {printable(name)}, this hil reads {FORMAT}",
                code="record_version",
                remedy="read it with the hil that wrote it",
            )
        return header, zlib.crc32(line)

    def _damaged(self, number: int, what: str, code: str) -> UsageError:
        return UsageError(
            f"{self._path}: entry {number} {what}; all before it is sound",
            code=code,
            remedy="copy the file again from where it was written; as it is, it holds no more",
        )
