"""LOGs in words: whatever the device sends, a sentence comes out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from harness.protocol.logs import level_name, log_text, reset_text
from harness.protocol.messages import Log
from harness.protocol.wire import LogEvent, LogLevel, ResetCause


def test_each_event_has_its_text() -> None:
    texts = {event: log_text(Log(event=event, value=1, value2=2, value3=3)) for event in LogEvent}
    assert texts[LogEvent.BOOTED] == "booted after: brown_out"
    assert texts[LogEvent.IMAGE_IN_FORCE] == "image 0x00000001 of 2 bytes is in force, in the flash store"
    assert "1 with a wrong CRC, 2 that are no frames; 3 bytes" in texts[LogEvent.FRAMES_DROPPED]
    assert not any("does not know" in text for text in texts.values())


def test_an_event_of_a_later_firmware_is_shown_by_its_numbers() -> None:
    assert log_text(Log(event=999, value=7)) == "event 999 (7, 0, 0), which this hil does not know"
    assert level_name(Log(level=9)) == "level 9"
    assert level_name(Log(level=LogLevel.WARNING)) == "warning"


def test_the_cause_of_a_reset() -> None:
    assert reset_text(ResetCause.POWER_ON | ResetCause.PIN) == "pin, power_on"
    assert reset_text(ResetCause.UNKNOWN) == "unknown"


@given(st.binary(min_size=Log.size_bytes(), max_size=Log.size_bytes()))
def test_any_bytes_are_a_sentence(data: bytes) -> None:
    log = Log.unpack(data)
    assert log_text(log)
    assert level_name(log)
