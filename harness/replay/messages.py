"""Recorded bytes as messages: who said what, when, and what was no message at all."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from enum import Enum, IntEnum, IntFlag
from functools import cache
from typing import Any, cast, get_type_hints

from harness.protocol.faults import cause_text
from harness.protocol.framing import BadFrame, Frame, FrameDecoder
from harness.protocol.logs import level_name, log_text
from harness.protocol.messages import EVENTS, REQUESTS, Fault, HelloReply, Log, Message, ReadFaultReply, Request
from harness.protocol.records import Width
from harness.protocol.wire import FRAME_DELIMITER, REPLY_BIT, WINDOW, MessageType
from harness.reading import printable
from harness.replay.transport import failure_of
from harness.transport.link_record import Entry, EntryKind

REQUEST_OF_TYPE: dict[int, type[Request[Any]]] = {kind.TYPE: kind for kind in REQUESTS}
_REPLY_OF_TYPE: dict[int, type[Message]] = {
    **{kind.TYPE | REPLY_BIT: kind.REPLY for kind in REQUESTS},
    **{kind.TYPE | REPLY_BIT: kind for kind in EVENTS},
}

_SHOWN_OF: dict[type[Message], tuple[str, ...]] = {
    HelloReply: (
        *("protocol_major", "protocol_minor", "runs_on", "version", "build_id", "baud"),
        *("arena_bytes", "model_bytes", "model_crc32", "reset_cause", "fault_crc32"),
    ),
}
"""Of a message with more fields than a line holds, those that tell most."""

_IN_HEXADECIMAL = (Fault, ReadFaultReply)
"""Their fields are registers."""

_SHOWN_BAD_BYTES = 16

_REMEMBERED_FRAMES = WINDOW
"""Of each side: as many requests may be under way, and as many replies be sent again."""


class Direction(Enum):
    """Who speaks."""

    TO_DEVICE = ">"
    TO_HOST = "<"


class Mark(Enum):
    """What a frame is besides new."""

    NEW = ""
    REPEAT = "repeat"
    STALE = "stale"
    BAD = "bad"


@dataclass(frozen=True)
class Heard:
    """A message, or what came in place of one.

    Attributes:
        time_s: when its last byte was written or read, in seconds since the recording began.
        direction: who sent it; None: what the recording says of the line itself.
        mark: REPEAT: one of the last frames again; STALE: a reply to none of the last requests, or of another session.
        text: what it says.
        frame: the frame, where there is one.
    """

    time_s: float
    direction: Direction | None
    mark: Mark
    text: str
    frame: Frame | None = None


class Listener:
    """Hears both ends of a line, entry by entry."""

    def __init__(self) -> None:
        self._sides = _fresh_sides()
        self._time_s = 0.0

    def hear(self, entry: Entry) -> Iterator[Heard]:
        """The messages that an entry completes."""
        self._time_s = entry.time_s
        direction = _DIRECTION_OF.get(entry.kind)
        if direction is not None:
            for item in self._sides[direction].feed(entry.data):
                yield _heard(item, entry.time_s, direction, self._sides)
            return
        if entry.kind in (EntryKind.OPENED, EntryKind.CLOSED):
            yield from self.rest()
        text = entry.text
        if entry.kind == EntryKind.FAILED:
            during, error = failure_of(entry)
            text = printable(f"during a {during}: {error.message}")
        yield Heard(entry.time_s, None, Mark.NEW, f"{entry.kind.name.lower()} {text}".strip())

    def rest(self) -> Iterator[Heard]:
        """What was begun and not ended; the next entry is that of a new line."""
        for direction, side in self._sides.items():
            if side.unfinished_bytes:
                yield Heard(self._time_s, direction, Mark.BAD, f"{side.unfinished_bytes} bytes that no border ends")
        self._sides = _fresh_sides()


def describe(frame: Frame, direction: Direction) -> str:
    """`#3 WRITE region=IMAGE node=0 offset=1024 data=1024 bytes`."""
    header = frame.header
    kinds: dict[int, type[Message]] = {**REQUEST_OF_TYPE} if direction is Direction.TO_DEVICE else _REPLY_OF_TYPE
    kind = kinds.get(header.type)
    number = f"#{header.sequence}"
    if kind is None:
        return f"{number} unknown type 0x{header.type:02X}, {len(frame.payload)} bytes"
    name = f"{number} {MessageType(header.type & ~REPLY_BIT).name}"
    if header.type & ~REPLY_BIT == MessageType.HELLO:
        name += f" session=0x{header.session:08x}"
    try:
        message = kind.unpack(frame.payload)
    except ValueError as error:
        return f"{name} unreadable: {printable(str(error))}"
    if isinstance(message, Log):
        return f"{name} {message.number} {level_name(message)}: {log_text(message)}"
    if isinstance(message, Fault) and message.cause:
        name += f" {cause_text(message)}:"
    return " ".join([name, *_fields(message)])


class _Side:
    """What comes from one end of the line."""

    def __init__(self) -> None:
        self._decoder = FrameDecoder()
        self.last: deque[Frame] = deque(maxlen=_REMEMBERED_FRAMES)
        self.unfinished_bytes = 0

    def feed(self, data: bytes) -> list[Frame | BadFrame]:
        border = data.rfind(FRAME_DELIMITER)
        self.unfinished_bytes = len(data) - border - 1 if border >= 0 else self.unfinished_bytes + len(data)
        return self._decoder.feed(data)


_DIRECTION_OF = {EntryKind.SENT: Direction.TO_DEVICE, EntryKind.RECEIVED: Direction.TO_HOST}


def _fresh_sides() -> dict[Direction, _Side]:
    return {direction: _Side() for direction in Direction}


def _heard(item: Frame | BadFrame, time_s: float, direction: Direction, sides: dict[Direction, _Side]) -> Heard:
    if isinstance(item, BadFrame):
        shown = item.encoded[:_SHOWN_BAD_BYTES].hex(" ")
        more = " ..." if len(item.encoded) > _SHOWN_BAD_BYTES else ""
        return Heard(time_s, direction, Mark.BAD, f"no frame, {item.fault.value}: {shown}{more}")
    side, asked = sides[direction], sides[Direction.TO_DEVICE].last
    mark = Mark.NEW
    if item in side.last:
        mark = Mark.REPEAT
    elif direction is Direction.TO_HOST and _is_unasked(item):
        pass  # it answers nothing, and is kept for no repeat
    elif direction is Direction.TO_HOST and not any(_answers(item, request) for request in asked):
        mark = Mark.STALE
    else:
        side.last.append(item)
    return Heard(time_s, direction, mark, describe(item, direction), item)


def _is_unasked(frame: Frame) -> bool:
    return frame.header.type & ~REPLY_BIT in (MessageType.LOG, MessageType.FAULT)


def _answers(reply: Frame, request: Frame) -> bool:
    is_error = reply.header.type == MessageType.ERROR | REPLY_BIT  # which carries the session in force, if refused
    return reply.header.sequence == request.header.sequence and (
        is_error or reply.header.session == request.header.session
    )


def _fields(message: Message) -> Iterator[str]:
    shown = _SHOWN_OF.get(type(message))
    for name, width in message.layout():
        if not name.startswith("reserved") and (shown is None or name in shown):
            yield f"{name}={_value(type(message), name, width, getattr(message, name))}"


def _value(kind: type[Message], name: str, width: Width, value: Any) -> str:
    if width.kind == "tail":
        return f"{len(value)} bytes"
    if width.kind == "raw":
        return str(value.hex())
    if width.kind == "text":
        return f"'{printable(value)}'"
    hint = _hints(cast(Hashable, kind))[name]
    if isinstance(hint, type) and issubclass(hint, IntFlag):
        return _flags(hint, int(value))
    if isinstance(hint, type) and issubclass(hint, IntEnum):
        return str(hint(value).name)
    return f"0x{value:08x}" if "crc32" in name or kind in _IN_HEXADECIMAL else str(value)


def _flags(kind: type[IntFlag], value: int) -> str:
    names = [member.name for member in kind if member.value and value & member and member.name]
    rest = value & ~sum(member.value for member in kind if member.value)
    return "|".join([*names, *([hex(rest)] if rest else [])]) or "0"


@cache
def _hints(kind: Hashable) -> dict[str, Any]:
    return get_type_hints(kind)
