"""What the chip is taken to compute: the numbers in the source against the program, and how they become time."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest

from harness.bootstrap.system import missing_parts
from harness.build.platformio import firmware_elf
from harness.link_bench.device_work import SYSCLK_HZ, WORK, ChipTime, DeviceWork, estimated_work
from harness.protocol.framing import encode_frame
from harness.protocol.messages import Header, RunReply, WriteReply
from harness.protocol.wire import REPLY_BIT


def test_the_numbers_are_those_of_this_firmware(tmp_path: Path) -> None:
    if missing := missing_parts(("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")):
        pytest.skip(f"{missing[0].name} is not installed")
    now = asdict(estimated_work(firmware_elf(), tmp_path))
    for name, value in asdict(WORK).items():
        assert 0.7 * value < now[name] < 1.2 * value, (name, now)


def test_a_byte_costs_when_its_frame_is_answered() -> None:
    chip = ChipTime(DeviceWork(received_byte=100, sent_byte=10, step=1000, interrupt=5))
    reply = encode_frame(Header(type=WriteReply.TYPE | REPLY_BIT), WriteReply(end_offset=7).pack())
    run = encode_frame(Header(type=RunReply.TYPE | REPLY_BIT), RunReply(steps=3, data=bytes(96)).pack())
    chip.heard(60)
    chip.heard(40)
    (first_s, first), (second_s, second) = chip.ready(reply + run, 2.0)
    assert (first, second) == (reply, run)
    assert first_s == pytest.approx(2.0 + (100 * 105 + len(reply) * 15) / SYSCLK_HZ)
    assert second_s == pytest.approx(first_s + (len(run) * 15 + 3000) / SYSCLK_HZ), "one after another"
    ((third_s, _),) = chip.ready(reply, 9.0)
    assert third_s == pytest.approx(9.0 + len(reply) * 15 / SYSCLK_HZ), "nothing was heard since"
