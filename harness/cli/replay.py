"""`hil replay`: a recorded link as messages, with what the host made of them."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from harness.reading import printable

if TYPE_CHECKING:
    from harness.replay.host import Conclusion
    from harness.replay.messages import Heard
    from harness.transport.link_record import Entry

_GAP_S = 0.25
"""A silence worth a line of its own: far over an answer, under the first repeat after 0.5 s."""


def replay_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What `hil validate --record FILE` wrote.", readable=False)
    ],
) -> int:
    """Show a recorded link as messages, and what this host makes of it. Needs no device."""
    from harness.errors import HilError
    from harness.transport.link_record import LinkRecord

    with LinkRecord(file) as record:
        _print_header(record.header)
        story = _Story()
        damage: HilError | None = None
        try:
            for entry in record.entries():
                story.tell(entry)
        except HilError as error:  # said after what is sound
            damage = error
        story.end()
    if damage is not None:
        raise damage
    return 0


class _Story:
    """Prints a record, entry by entry, and adds it up."""

    def __init__(self) -> None:
        from harness.replay.host import HostAgain
        from harness.replay.messages import Listener

        self._listener = Listener()
        self._host = HostAgain()
        self._bytes: Counter[str] = Counter()
        self._frames: Counter[tuple[str, str]] = Counter()
        self._concluded: Counter[str] = Counter()
        self._lines = 0
        self._time_s = 0.0
        self._waited_s = 0.0
        self._is_open = False
        self._has_end = False

    def tell(self, entry: Entry) -> None:
        """Print one entry."""
        from harness.transport.link_record import EntryKind

        passed_s = entry.time_s - self._time_s
        if passed_s > _GAP_S and self._is_open:
            who = "waiting for the device" if self._host.is_waiting else "the host has nothing to say"
            _say(f"{'':>10}   ({passed_s:.3f} s of silence, {who})")
        self._waited_s += passed_s if self._host.is_waiting else 0.0
        self._time_s = entry.time_s
        self._lines += entry.kind == EntryKind.OPENED
        self._is_open = entry.kind != EntryKind.CLOSED and (self._is_open or entry.kind == EntryKind.OPENED)
        self._has_end = entry.kind == EntryKind.END
        if entry.kind in (EntryKind.SENT, EntryKind.RECEIVED):
            self._bytes[entry.kind.name] += len(entry.data)
        self._print(self._listener.hear(entry))
        self._conclude(self._host.follow(entry))

    def end(self) -> None:
        """Print what is left, and the sums."""
        self._print(self._listener.rest())
        self._conclude(self._host.rest())
        if not self._has_end:
            _say("note      the record has no end: the program that wrote it was killed, or the file was cut")
        _say(f"time      {self._time_s:.3f} s, {self._waited_s:.3f} s of them waiting for the device")
        _say(f"lines     {self._lines} opened, {self._host.sessions} sessions")
        for name, kind, mark in (("to device", "SENT", ">"), ("to host", "RECEIVED", "<")):
            total = sum(
                count for (direction, what), count in self._frames.items() if direction == mark and what != "bad"
            )
            others = "".join(f", {self._frames[mark, what]} {what}" for what in ("repeat", "stale", "bad"))
            _say(f"{name:<9} {self._bytes[kind]} bytes, {total} frames{others}")
        _say(f"host      {self._host.requests} requests, {self._host.answered} answered")
        for text, count in self._concluded.items():
            _say(f"concluded {printable(text)}" + (f" ({count} times)" if count > 1 else ""))

    def _print(self, messages: Iterable[Heard]) -> None:
        for heard in messages:
            direction = " " if heard.direction is None else heard.direction.value
            if heard.direction is not None:
                self._frames[direction, heard.mark.value] += 1
            _say(
                f"{heard.time_s:10.6f} {direction} {heard.text}"
                + (f" [{heard.mark.value}]" if heard.mark.value else "")
            )

    def _conclude(self, conclusions: Iterable[Conclusion]) -> None:
        for conclusion in conclusions:
            self._concluded[conclusion.text] += 1
            _say(f"{conclusion.time_s:10.6f} ! {printable(conclusion.text)} [{printable(conclusion.code)}]")


def _print_header(header: dict[str, Any]) -> None:
    from json import dumps

    for name, value in header.items():
        _say(f"{printable(name):<12} {printable(value if isinstance(value, str) else dumps(value))}")


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
