"""The device's side of sessions, repeats and noise, played by hand."""

from __future__ import annotations

import time

import numpy as np
import pytest

import seeds
from harness.device import Device
from harness.errors import DeviceReset
from harness.loading import load_model
from harness.model.nodes import ActivationNode
from harness.model.pack import pack_model
from harness.model.spec import ModelSpec
from harness.protocol.framing import encode_frame
from harness.protocol.messages import (
    Counters,
    CountersReply,
    Echo,
    ErrorReply,
    Header,
    Hello,
    HelloReply,
    ImageBegin,
    Reset,
    Run,
    RunReply,
    Working,
)
from harness.protocol.wire import (
    MAX_PAYLOAD_BYTES,
    REPLY_BIT,
    WINDOW,
    Activation,
    ErrorCode,
    MessageType,
    Phase,
    RunsOn,
    TickSource,
    Trace,
)
from raw_line import SESSION, RawLine

FPSCR_SETTINGS = 0x07C0_0000
"""AHP, DN, FZ and RMode (ARM DDI 0403E, A2.5.3)."""

FPSCR_DIVISION_BY_ZERO = 0x2


def test_after_boot_the_session_is_zero(raw_line: RawLine) -> None:
    frame = raw_line.ask(Echo(), 1)
    assert frame.header.session == 0
    assert raw_line.error(Echo(), 1) == ErrorCode.BAD_SESSION
    assert raw_line.greet().header.session == SESSION


def test_what_the_device_says_of_itself(device: Device, hil_kind: str) -> None:
    info = device.info
    expected = {
        "native": {RunsOn.NATIVE},
        "qemu": {RunsOn.QEMU},
        "renode": {RunsOn.RENODE},
        "board": {RunsOn.CHIP, RunsOn.QEMU, RunsOn.RENODE},  # behind its port there may be an emulator
    }
    assert info.runs_on in expected[hil_kind]
    if info.runs_on == RunsOn.RENODE:
        assert info.tick_source == TickSource.NONE, "its CYCCNT is virtual time, which must not pass for cycles"
    assert info.arena_bytes >= 100 * 1024
    assert info.build_id != bytes(20)
    assert "-ffp-contract=off" in info.compiler_flags
    assert info.compiler.startswith(("GCC", "clang"))
    assert info.max_payload_bytes == MAX_PAYLOAD_BYTES


def test_a_repeat_is_answered_from_the_kept_reply_and_not_run_again(raw_line: RawLine) -> None:
    spec = seeds.random_lstm(2, 3)
    image = pack_model(spec)
    raw_line.greet()
    assert raw_line.load(image) == 4
    step = Run(steps=1, trace=Trace.H, data=np.ones(2, np.float32).tobytes())
    first = raw_line.ask(step, 4)
    assert raw_line.ask(step, 4) == first
    second = raw_line.ask(step, 5)
    assert RunReply.unpack(second.payload).data != RunReply.unpack(first.payload).data, "state must have moved once"
    counters = CountersReply.unpack(raw_line.ask(Counters(), 6).payload)
    assert counters.duplicates == 1


def test_the_fpu_keeps_denormals_rounds_to_nearest_and_divides_by_no_zero(raw_line: RawLine) -> None:
    softmax = ActivationNode("softmax", None, Phase.EVERY_STEP, 2, Activation.SOFTMAX)
    raw_line.greet()
    sequence = raw_line.load(pack_model(ModelSpec("alone", "x", 2, None, (softmax,), (0,))))
    step = Run(steps=1, trace=Trace.OUTPUT, data=np.ones(2, np.float32).tobytes())
    assert np.frombuffer(RunReply.unpack(raw_line.ask(step, sequence).payload).data, "<f4").tolist() == [0.5, 0.5]
    counters = CountersReply.unpack(raw_line.ask(Counters(), sequence + 1).payload)
    assert counters.fpscr & (FPSCR_SETTINGS | FPSCR_DIVISION_BY_ZERO) == 0, "a process has none, and says 0"


def test_sequence_numbers_must_follow(raw_line: RawLine) -> None:
    raw_line.greet(sequence=65534)
    assert raw_line.error(Echo(), 7) == ErrorCode.BAD_SEQUENCE
    raw_line.ask(Echo(), 65535)
    raw_line.ask(Echo(), 0)
    assert raw_line.error(Echo(data=b"other content"), 0) == ErrorCode.BAD_SEQUENCE
    assert raw_line.ask(Echo(data=b"x"), 1).payload == b"x"


def test_another_session_takes_over(raw_line: RawLine) -> None:
    raw_line.greet()
    raw_line.greet(session=SESSION + 1)
    assert raw_line.error(Echo(), 1) == ErrorCode.BAD_SESSION
    assert raw_line.ask(Echo(), 1, SESSION + 1).header.session == SESSION + 1


def test_session_zero_cannot_be_opened(raw_line: RawLine) -> None:
    assert raw_line.error(Hello(protocol_major=1), 0, session=0) == ErrorCode.BAD_SESSION


def test_another_major_version_is_refused_and_the_session_in_force_stays(raw_line: RawLine) -> None:
    raw_line.greet()
    assert raw_line.error(Hello(protocol_major=2), 0, session=99) == ErrorCode.BAD_VERSION
    assert raw_line.ask(Echo(data=b"still here"), 1).payload == b"still here"


def test_fields_of_a_later_minor_version_are_ignored(raw_line: RawLine) -> None:
    raw_line.greet()
    begin = ImageBegin(image_bytes=100, work_bytes=8).pack()
    raw_line.write(encode_frame(Header(type=ImageBegin.TYPE, sequence=1, session=SESSION), begin + b"more"))
    assert raw_line.frame().header.type == MessageType.IMAGE_BEGIN | REPLY_BIT
    raw_line.write(encode_frame(Header(type=0x3E, sequence=2, session=SESSION), b"unknown, with a payload"))
    assert ErrorReply.unpack(raw_line.frame().payload).code == ErrorCode.UNKNOWN_MESSAGE


def test_the_number_that_is_due_wraps(raw_line: RawLine) -> None:
    raw_line.greet(sequence=65535)
    frame = raw_line.ask(Echo(), 7)
    assert ErrorReply.unpack(frame.payload).detail == 0


def test_unknown_messages_and_wrong_lengths(raw_line: RawLine) -> None:
    raw_line.greet()
    raw_line.write(encode_frame(Header(type=0x3E, sequence=1, session=SESSION), b""))
    assert raw_line.frame().header.type == MessageType.ERROR | REPLY_BIT
    raw_line.write(encode_frame(Header(type=MessageType.READ, sequence=2, session=SESSION), b"abc"))
    assert raw_line.frame().header.type == MessageType.ERROR | REPLY_BIT
    raw_line.write(encode_frame(Header(type=MessageType.HELLO, sequence=0, session=5), b""))
    assert raw_line.frame().header.type == MessageType.ERROR | REPLY_BIT


def test_noise_is_counted_and_harms_nothing(raw_line: RawLine) -> None:
    raw_line.greet()
    # What came while the device booted may have been cut, so it is the difference that counts.
    before = CountersReply.unpack(raw_line.ask(Counters(), 1).payload)
    good = encode_frame(Header(type=MessageType.ECHO, sequence=2, session=SESSION), b"hello")
    flipped = bytearray(good)
    flipped[9] ^= 0x40
    noise = b"\x07noise\x00" + bytes(flipped) + b"\x00" + b"\x55" * 5000 + b"\x00" + good[:8] + good
    for start in range(0, len(noise), 500):  # Renode's USART takes all that comes at once, the ring holds 2 KB
        raw_line.write(noise[start : start + 500])
        time.sleep(0.05)
    assert raw_line.frame().payload == b"hello"
    after = CountersReply.unpack(raw_line.ask(Counters(), 3).payload)
    assert after.crc_errors - before.crc_errors == 1
    assert after.framing_errors - before.framing_errors == 2
    assert after.oversized_frames - before.oversized_frames == 1


def test_the_largest_echo(device: Device) -> None:
    data = bytes(range(256)) * 8 + bytes(MAX_PAYLOAD_BYTES - 2048)
    assert device.request(Echo(data=data)).data == data
    assert device.request(Echo()).data == b""


@pytest.mark.hil_targets("native")  # an emulated line is slower than the run: the frames behind it come too late
def test_a_run_under_way_answers_repeats_with_working_and_lets_others_wait(raw_line: RawLine) -> None:
    """Three frames in one burst: the run, its repeat, and another request, before the run can be done."""
    spec = seeds.random_lstm(1, 60)
    image = pack_model(spec)
    raw_line.greet()
    number = raw_line.load(image) - 1
    run = Run(steps=200, data=np.ones(200, np.float32).tobytes())

    def frame(message: Run | Echo, sequence: int) -> bytes:
        return encode_frame(Header(type=message.TYPE, sequence=sequence, session=SESSION), message.pack())

    raw_line.write(frame(run, number + 1) + frame(run, number + 1) + frame(Echo(), number + 2))
    seen = [raw_line.frame() for _ in range(3)]
    assert [frame.header.type & ~REPLY_BIT for frame in seen] == [
        MessageType.WORKING,
        MessageType.RUN,
        MessageType.ECHO,
    ]
    working = Working.unpack(seen[0].payload)
    assert working.steps_done < 200
    assert (working.due, working.held) == (number + 2, 0)
    assert RunReply.unpack(seen[1].payload).steps == 200


def echo(number: int) -> Echo:
    return Echo(data=bytes([number]))


def test_what_comes_before_its_turn_waits_for_it(raw_line: RawLine) -> None:
    raw_line.greet()
    early = raw_line.ask(echo(2), 2)
    assert Working.unpack(early.payload) == Working(due=1, held=0b10)
    again = raw_line.ask(echo(2), 2)
    assert Working.unpack(again.payload) == Working(due=1, held=0b10)
    raw_line.send(echo(1), 1)
    assert [raw_line.frame().payload for _ in range(2)] == [b"\1", b"\2"]
    assert raw_line.ask(echo(3), 3).payload == b"\3"


def test_more_than_the_window_is_refused(raw_line: RawLine) -> None:
    info = HelloReply.unpack(raw_line.greet(sequence=65534).payload)
    assert info.rx_frames == (1 if info.runs_on == RunsOn.RENODE else WINDOW), "whose line comes in bursts"
    beyond = (65535 + WINDOW) % 2**16
    assert raw_line.error(Echo(), beyond) == ErrorCode.BAD_SEQUENCE
    for number in range(WINDOW - 1, 0, -1):
        assert raw_line.ask(echo(number), (65535 + number) % 2**16).header.type == MessageType.WORKING | REPLY_BIT
    raw_line.send(echo(0), 65535)
    assert [raw_line.frame().payload[0] for _ in range(WINDOW)] == list(range(WINDOW))


def test_the_replies_of_a_whole_window_can_be_had_again(raw_line: RawLine) -> None:
    raw_line.greet()
    frames = [raw_line.ask(echo(number), number) for number in range(1, WINDOW + 2)]
    for number in range(2, WINDOW + 2):
        assert raw_line.ask(echo(number), number) == frames[number - 1]
    assert raw_line.error(echo(1), 1) == ErrorCode.BAD_SEQUENCE, "the host had that one"
    assert CountersReply.unpack(raw_line.ask(Counters(), WINDOW + 2).payload).duplicates == WINDOW


def test_hello_forgets_what_waits(raw_line: RawLine) -> None:
    raw_line.greet()
    raw_line.ask(echo(2), 2)
    raw_line.greet(sequence=0, session=SESSION + 1)
    assert raw_line.ask(echo(9), 1, SESSION + 1).payload == b"\x09"
    assert raw_line.ask(echo(8), 2, SESSION + 1).payload == b"\x08"


def test_a_hello_that_comes_late_opens_nothing(raw_line: RawLine) -> None:
    raw_line.greet()
    for number in range(1, WINDOW + 2):
        raw_line.ask(echo(number), number)
    raw_line.send(Hello(protocol_major=1), 0)
    assert raw_line.ask(echo(7), WINDOW + 2).payload == b"\7"


def test_hello_ends_a_run(raw_line: RawLine) -> None:
    spec = seeds.random_lstm(1, 2)
    image = pack_model(spec)
    raw_line.greet()
    assert raw_line.load(image) == 4
    run = Run(steps=250, data=bytes(1000))
    burst = encode_frame(Header(type=run.TYPE, sequence=4, session=SESSION), run.pack())
    hello = Hello(protocol_major=1)
    burst += encode_frame(Header(type=hello.TYPE, sequence=9, session=77), hello.pack())
    raw_line.write(burst)
    frame = raw_line.frame()
    if frame.header.type == MessageType.RUN | REPLY_BIT:  # it was done before the HELLO came
        frame = raw_line.frame()
    assert frame.header.session == 77
    assert HelloReply.unpack(frame.payload).model_bytes == len(image.data)
    assert raw_line.ask(Echo(data=b"y"), 10, session=77).payload == b"y"


def test_a_restart_is_noticed_at_the_next_frame(device: Device) -> None:
    loaded = load_model(device, seeds.random_lstm(2, 2))
    device.request(Reset())
    with pytest.raises(DeviceReset):
        device.request(Echo())
    info = device.connect()
    assert info.model_crc32 != loaded.image.crc32, "only what lies in flash survives"


def test_reset_forgets_the_model(device: Device) -> None:
    crc32 = load_model(device, seeds.random_lstm(2, 2)).image.crc32
    assert device.connect().model_crc32 == crc32, "a new session keeps the model"
    assert device.reset().model_crc32 != crc32, "only what lies in flash survives"


def test_no_byte_of_a_load_is_lost_in_the_device(device: Device) -> None:
    before = device.counters()
    load_model(device, seeds.random_lstm(20, 40))
    after = device.counters()
    assert after.ring_overflows == before.ring_overflows
    assert after.uart_overruns == before.uart_overruns
