"""A line to a device that is only a record: what the host sends must be what it sent then, and it gets what came then.

    line = next(recorded_lines(record.entries()))
    device = Device(line, line.clock, session_id=line.session_id)

No real time passes. What goes before what is the record's order alone; its times only move the clock, so that whatever
gave up then gives up now.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator

from harness import errors
from harness.errors import HilError, LinkClosed, LinkError, ReplayDeviation
from harness.protocol.framing import Frame, FrameDecoder
from harness.protocol.wire import BOOT_BAUD, MessageType
from harness.transport.link_record import Entry, EntryKind
from harness.transport.recording import BAUD_NOTE

_LEFT_SHARE = 0.5
"""How much of a wait is left, at least, when bytes come that the record says came in time."""


def recorded_lines(entries: Iterable[Entry]) -> Iterator[ReplayTransport]:
    """The lines of a record, one for each time that one was opened."""
    current: list[Entry] = []
    for entry in entries:
        if entry.kind == EntryKind.OPENED and current:
            yield ReplayTransport(current)
            current = []
        if current or entry.kind == EntryKind.OPENED:
            current.append(entry)
    if current:
        yield ReplayTransport(current)


class ReplayTransport:
    """The device's side of one recorded line, as a transport.

    Args:
        entries: of one line; notes are left out.

    Attributes:
        baud: that of the host's end; None where the line had none.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        entries = tuple(entries)
        has_baud = any(entry.kind == EntryKind.NOTE and entry.data == BAUD_NOTE.encode() for entry in entries)
        self.baud = BOOT_BAUD if has_baud else None
        kinds = (EntryKind.SENT, EntryKind.RECEIVED, EntryKind.FAILED, EntryKind.CLOSED, EntryKind.END)
        self._entries = deque(entry for entry in entries if entry.kind in kinds)
        self._now_s = self._entries[0].time_s if self._entries else 0.0
        self._sent_bytes = 0

    @property
    def is_at_end(self) -> bool:
        """Whether everything has been said and heard."""
        return all(entry.kind in (EntryKind.CLOSED, EntryKind.END) for entry in self._entries)

    def clock(self) -> float:
        """Seconds since the recording began."""
        return self._now_s

    def session_id(self) -> int:
        """The id of the next session of the record; 1 where there is none any more.

        What a `Device` asks for before it greets: it does so once when it is made, and again at each greeting.
        """
        decoder = FrameDecoder()
        for entry in self._entries:
            for frame in decoder.feed(entry.data) if entry.kind == EntryKind.SENT else ():
                if isinstance(frame, Frame) and frame.header.type == MessageType.HELLO and frame.header.session:
                    return frame.header.session
        return 1

    def write(self, data: bytes) -> None:
        """Hold what the host sends against what it sent then.

        Raises:
            ReplayDeviation: it is something else, or it comes at another time.
            LinkError: writing failed then.
        """
        entry = self._next()
        if entry is None or entry.kind != EntryKind.SENT:
            then = "nothing more" if entry is None else "bytes to read first" if entry.data else "no more"
            raise self._deviation(f"the host sends {len(data)} bytes where the record has {then}", self._sent_bytes)
        if entry.data != data:
            at = self._sent_bytes + first_difference(data, entry.data)
            raise self._deviation("the host sends something else than it did then", at)
        self._entries.popleft()
        self._sent_bytes += len(data)
        self._now_s = max(self._now_s, entry.time_s)
        self._raise_failure("write")
        following = self._next()
        if following is not None and following.kind in (EntryKind.CLOSED, EntryKind.END):
            self._now_s = max(self._now_s, following.time_s)  # whoever looks at the clock now had waited in vain

    def read(self, timeout_s: float) -> bytes:
        """What came then; nothing, with all the waiting, where the host sent or gave up next.

        Raises:
            LinkError: reading failed then.
        """
        self._raise_failure("read")
        entry = self._next()
        if entry is not None and entry.kind == EntryKind.RECEIVED:
            self._entries.popleft()
            in_time_s = self._now_s + max(timeout_s, 0.0) * (1 - _LEFT_SHARE)
            self._now_s = max(self._now_s, min(entry.time_s, in_time_s))
            return entry.data
        self._now_s += max(timeout_s, 0.0)
        if entry is not None:
            self._now_s = max(self._now_s, entry.time_s)
        return b""

    def set_baud(self, baud: int) -> None:
        """Take note of it: a record holds bytes."""
        self.baud = baud

    def close(self) -> None:
        """Nothing to give back."""

    def _next(self) -> Entry | None:
        return self._entries[0] if self._entries else None

    def _raise_failure(self, during: str) -> None:
        entry = self._next()
        if entry is None or entry.kind != EntryKind.FAILED:
            return
        then, error = failure_of(entry)
        if then == during:
            self._entries.popleft()
            raise error

    def _deviation(self, what: str, at: int) -> ReplayDeviation:
        return ReplayDeviation(
            f"{what}, at byte {at} of what it sent on this line",
            remedy="replay with the version, the model and the inputs of the recorded run",
        )


def first_difference(ours: bytes, recorded: bytes) -> int:
    """The first place where two pieces of bytes differ; the shorter one's end where it begins the other."""
    pairs = enumerate(zip(ours, recorded, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(ours), len(recorded)))


def failure_of(entry: Entry) -> tuple[str, HilError]:
    """(`write` or `read`, the error) of a FAILED entry. One that cannot be read is a closed line, met in reading."""
    try:
        fields = {str(name): str(value) for name, value in json.loads(entry.data).items()}
        kind = getattr(errors, fields["error"], LinkClosed)
        known = kind if isinstance(kind, type) and issubclass(kind, LinkError) else LinkClosed
        return fields["during"], known(fields["message"], code=fields["code"], remedy=fields["remedy"])
    except (ValueError, KeyError, AttributeError, RecursionError):
        return "read", LinkClosed("how it failed cannot be read")
