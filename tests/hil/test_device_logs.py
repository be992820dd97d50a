"""What the firmware tells unasked, and that it disturbs nothing."""

from __future__ import annotations

from collections.abc import Callable

import pytest

import seeds
from harness.device import Device
from harness.loading import load_model
from harness.protocol.framing import encode_frame
from harness.protocol.messages import Echo, Header, Log
from harness.protocol.wire import LogEvent, LogLevel
from harness.transport.base import Transport

pytestmark = pytest.mark.hil_targets("native", "qemu", "renode")

QUEUED = 8
"""LOGs that the device keeps for a host that reads them."""


def greeted(line: Transport) -> tuple[Device, Callable[[], list[Log]]]:
    """A device, and what takes out the LOGs that came so far."""
    logs: list[Log] = []
    device = Device(line, on_log=logs.append)
    device.connect()

    def taken() -> list[Log]:
        device.request(Echo())  # a LOG that was due before has come before its reply
        device.request(Echo())
        came = list(logs)
        logs.clear()
        return came

    return device, taken


def test_boot_and_each_image_are_told_once(line: Transport) -> None:
    device, taken = greeted(line)
    boot = taken()
    assert [(log.event, log.level, log.number) for log in boot] == [(LogEvent.BOOTED, LogLevel.INFO, 1)]
    assert boot[0].value == device.info.reset_cause
    image = load_model(device, seeds.random_lstm(2, 2)).image
    (log,) = taken()
    assert (log.event, log.value, log.value2, log.number) == (LogEvent.IMAGE_IN_FORCE, image.crc32, len(image.data), 2)
    device.connect()
    assert taken() == [], "a new session is no new boot"


def test_frames_that_were_dropped_are_told_once_a_session(line: Transport) -> None:
    device, taken = greeted(line)
    taken()
    damaged = bytearray(encode_frame(Header(type=2, sequence=9, session=1), b"abc"))
    damaged[damaged.index(b"abc")] ^= 1
    for session in range(2):
        for _ in range(3):
            line.write(bytes(damaged) + b"\x05noise\0")
            device.request(Echo())
        (log,) = taken()
        assert (log.event, log.level) == (LogEvent.FRAMES_DROPPED, LogLevel.WARNING)
        assert log.value > 3 * session, "of all since boot"
        assert log.value2 > 3 * session
        device.connect()


def test_what_finds_no_room_is_dropped_and_counted(line: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host of version 1.0 is told nothing, and the device keeps only so much for the next one."""
    with monkeypatch.context() as older:
        older.setattr("harness.device.PROTOCOL_MINOR", 0)
        device, taken = greeted(line)
        for _ in range(QUEUED + 3):
            load_model(device, seeds.random_lstm(1, 1))
        assert taken() == []
        assert device.counters().logs_dropped == 4
    device.connect()
    load_model(device, seeds.random_lstm(1, 1))
    assert [log.number for log in taken()] == [*range(1, QUEUED + 1), QUEUED + 5]
