"""Goodput from what went over a line."""

from __future__ import annotations

import pytest

from harness.link_bench.docgen import table
from harness.link_bench.record import TO_DEVICE, TO_HOST, Goodput, goodput_of
from harness.link_bench.tap import Passage, Tap
from harness.protocol.framing import encode_frame
from harness.protocol.messages import Header

WRITE, COMMIT, REPLY = 0x18, 0x11, 0x80

PASSAGES = [
    Passage(0.0, True, 30, (0x10,)),
    Passage(0.9, False, 30, (0x10 | REPLY,)),
    Passage(1.0, True, 1100, (WRITE,)),
    Passage(1.5, True, 1100, (WRITE,)),
    Passage(2.0, False, 40, (WRITE | REPLY,)),
    Passage(2.5, False, 40, (WRITE | REPLY,)),
    Passage(2.5, True, 50, (COMMIT,)),
    Passage(3.0, False, 50, (COMMIT | REPLY,)),
    Passage(3.5, True, 10, ()),
]


def test_a_load_counts_from_its_first_write_to_the_last_reply() -> None:
    load = goodput_of(PASSAGES, TO_DEVICE, WRITE, 10_000, 1000)
    assert load.time_s == 2.0
    assert load.line_bytes == 2260
    assert load.requests == 3
    assert load.goodput == pytest.approx(1000 * 10 / (10_000 * 2.0))


def test_a_stream_counts_what_came_to_the_host() -> None:
    stream = goodput_of(PASSAGES, TO_HOST, WRITE, 10_000, 100)
    assert stream.line_bytes == 130
    with pytest.raises(ValueError, match="no frame of type 33"):
        goodput_of(PASSAGES, TO_HOST, 33, 10_000, 100)


def test_what_is_missing_is_framing_or_waiting() -> None:
    framing = Goodput(TO_HOST, 10_000, payload_bytes=900, line_bytes=1000, time_s=1.0, requests=1)
    assert framing.idle_share == 0
    assert framing.limit == "framing: 10.0% of the bytes"
    waiting = Goodput(TO_HOST, 10_000, payload_bytes=900, line_bytes=1000, time_s=2.0, requests=1)
    assert waiting.limit == "waiting: line idle 50.0%"
    assert waiting.goodput == pytest.approx(waiting.payload_bytes / waiting.line_bytes * (1 - waiting.idle_share))


def test_the_tap_sees_whole_frames() -> None:
    class Line:
        def write(self, data: bytes) -> None:
            pass

        def read(self, timeout_s: float) -> bytes:
            return frame[:5] if timeout_s else frame[5:]

        def close(self) -> None:
            pass

    frame = encode_frame(Header(type=WRITE, sequence=1, session=1), b"data")
    tap = Tap(Line(), lambda: 4.0)
    tap.write(frame * 2)
    tap.read(1)
    tap.read(0)
    assert [each.frame_types for each in tap.passages] == [(WRITE, WRITE), (), (WRITE,)]
    assert [each.size_bytes for each in tap.passages] == [2 * len(frame), 5, len(frame) - 5]
    assert {each.at_s for each in tap.passages} == {4.0}


def test_the_page_has_a_row_for_each() -> None:
    row = goodput_of(PASSAGES, TO_DEVICE, WRITE, 10_000, 1000).to_json()
    made = table([{"target": {"name": "native"}, "time": "virtual", "rows": [row, row]}])
    assert (
        made.count("| native | virtual | 10,000 | to device | 1,000 | 3 | 50.0% | framing: 55.8% of the bytes |") == 2
    )
