"""LOG messages in words: the device sends numbers, the text stands here."""

from __future__ import annotations

from harness.protocol.messages import Log
from harness.protocol.wire import LogEvent, LogLevel, ResetCause

_TEXTS = {
    LogEvent.STORE_ERASED: "{value} bytes of the flash store were erased",
    LogEvent.FRAMES_DROPPED: "the first frames of this session were dropped: {value} with a wrong CRC, {value2} that "
    "are no frames; {value3} bytes were lost in the device",
}


def log_text(log: Log) -> str:
    """What a LOG says, in a sentence without its end."""
    if log.event == LogEvent.BOOTED:
        return f"booted after: {reset_text(ResetCause(log.value))}"
    if log.event == LogEvent.IMAGE_IN_FORCE:
        where = ", in the flash store" if log.value3 else ""
        return f"image 0x{log.value:08x} of {log.value2} bytes is in force{where}"
    text = {int(event): text for event, text in _TEXTS.items()}.get(log.event)
    if text is None:
        return f"event {log.event} ({log.value}, {log.value2}, {log.value3}), which this hil does not know"
    return text.format(**vars(log))


def level_name(log: Log) -> str:
    """`info`, `warning` or `error`; a level of a later version by its number."""
    known = {int(level): level.name.lower() for level in LogLevel}
    return known.get(log.level, f"level {log.level}")


def reset_text(cause: ResetCause) -> str:
    """Why a device restarted: `power_on, pin`."""
    names = [flag.name.lower() for flag in ResetCause if flag and cause & flag and flag.name]
    return ", ".join(names) or "unknown"
