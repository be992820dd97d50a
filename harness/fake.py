"""A device that is not there, for tests of whatever talks to one: the protocol in full, numbers by a function of yours.

    device = FakeDevice(run=lambda request, image: my_reply_data, faults=Faults(drop_every=3))
    line = FakeTransport(device)
    with Device(line, line.clock) as greeted: ...

It works on bytes and has neither clock nor port; `FakeTransport` gives it a line on which no real time passes. Behind a
pseudo-terminal or a socket it serves as well: write `device.receive(bytes)` back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from harness.protocol import messages
from harness.protocol.baud import is_possible, real_baud
from harness.protocol.framing import BadFrame, Frame, FrameDecoder, FrameFault, encode_frame
from harness.protocol.image import ImageHeader
from harness.protocol.wire import (
    BAUD_FALLBACK_BYTES,
    BOOT_BAUD,
    FAULT_MAGIC,
    MAX_PAYLOAD_BYTES,
    PROTOCOL_MAJOR,
    PROTOCOL_MINOR,
    REPLY_BIT,
    SESSION_NONE,
    WINDOW,
    ErrorCode,
    ErrorGroup,
    FaultCause,
    MessageType,
    Region,
    crc32,
)

_KINDS: dict[int, type[messages.Request[Any]]] = {kind.TYPE: kind for kind in messages.REQUESTS}
_FAKE_HELLO = messages.HelloReply(
    max_payload_bytes=MAX_PAYLOAD_BYTES,
    rx_frames=WINDOW,
    arena_bytes=118000,
    uart_clock_hz=45_000_000,
    baud=BOOT_BAUD,
    max_nodes=32,
    version="fake",
)

RunFunction = Callable[[messages.Run, bytes], bytes]
"""Given a request and the image in force, the data of the reply."""


@dataclass(frozen=True)
class Faults:
    """How a device misbehaves; everything is off by default. Counts begin with the first frame that is heard.

    Attributes:
        silent: it never sends anything.
        mute_for: the replies to the first so many frames are lost, as those of a device that boots late.
        drop_every: every nth reply is lost.
        corrupt_every: every nth reply has a wrong CRC.
        babble: it answers everything with these bytes.
        wrong_type: it answers every request but HELLO with a frame of this type.
        working: a run's reply comes only at the nth repeat of its request; until then it is at work.
        reset_at: it restarts when it hears its nth frame, which is lost.
        fault_at: likewise, by a fault, of which it tells when it has restarted.
    """

    silent: bool = False
    mute_for: int = 0
    drop_every: int = 0
    corrupt_every: int = 0
    babble: bytes = b""
    wrong_type: int = 0
    working: int = 0
    reset_at: int = 0
    fault_at: int = 0


@dataclass
class FakeDevice:
    """The device's side of the protocol.

    Attributes:
        hello: what it says of itself, the protocol's version apart.
        run: computes; without it every run is refused with NO_MODEL.
        ticks: what a run is said to have taken.
        faults: how it misbehaves; may be changed at any time.
        protocol: the version that it speaks.
        heard: every frame that it heard, in order.
        worked_on: how many requests it did work on: no repeats, nothing refused for its session or number.
        image: the image in force.
        fault: the record of the last fault, until a host clears it.
        to_log: LOGs that it sends behind its next reply.
        baud: what it has by now; behind the reply to SET_BAUD another one.
    """

    hello: messages.HelloReply = _FAKE_HELLO
    run: RunFunction | None = None
    ticks: Callable[[messages.Run], int] = lambda _: 0
    faults: Faults = field(default_factory=Faults)
    protocol: tuple[int, int] = (PROTOCOL_MAJOR, PROTOCOL_MINOR)
    heard: list[Frame] = field(default_factory=list)
    worked_on: int = 0
    image: bytes = b""
    fault: messages.Fault | None = None
    to_log: list[messages.Log] = field(default_factory=list)
    baud: int = BOOT_BAUD

    def __post_init__(self) -> None:
        """Boot."""
        self._decoder = FrameDecoder()
        self._counters = messages.CountersReply()
        self._replies = 0
        self._unheard_bytes = 0
        self._memory: dict[tuple[Region, int], bytearray] = {}
        self._restart()

    def receive(self, data: bytes) -> bytes:
        """Take bytes from the host, in pieces of any size; what the device sends back."""
        sent = b""
        self._unheard_bytes += len(data)
        for item in self._decoder.feed(data):
            if isinstance(item, BadFrame):
                self._count("crc_errors" if item.fault == FrameFault.BAD_CRC else "framing_errors")
            else:
                self._count("frames_received")
                self._unheard_bytes = 0
                self.heard.append(item)
                sent += b"".join(map(self._on_the_line, self._answers(item))) + self._logs()
        if self._unheard_bytes >= BAUD_FALLBACK_BYTES:
            self.baud = BOOT_BAUD
        return sent

    def _restart(self) -> None:
        self.baud = BOOT_BAUD
        self._unheard_bytes = 0
        self._tells_of_fault = False
        self._memory.clear()
        self._forget_session(SESSION_NONE, 0)

    def _forget_session(self, session: int, sequence: int) -> None:
        self._session = session
        self._sequence = sequence
        self._waiting: dict[int, Frame] = {}
        self._kept: deque[tuple[Frame, bytes]] = deque(maxlen=WINDOW)
        self._running: Frame | None = None
        self._repeats = 0

    def _on_the_line(self, reply: bytes) -> bytes:
        faults, nth = self.faults, len(self.heard)
        if faults.babble and not faults.silent:
            return faults.babble
        if not reply or faults.silent or nth <= faults.mute_for:
            return b""
        self._replies += 1
        if faults.drop_every and self._replies % faults.drop_every == 0:
            return b""
        if faults.corrupt_every and self._replies % faults.corrupt_every == 0:
            return reply[:3] + bytes([reply[3] ^ 0x55 or 0x01]) + reply[4:]
        return reply

    def _answers(self, frame: Frame) -> Iterator[bytes]:
        header = frame.header
        due = (self._sequence + 1) % 2**16
        if self.faults.reset_at == len(self.heard):
            self.image = b""
            self._restart()
        elif self.faults.fault_at == len(self.heard):
            yield self._fail()
        elif kept := next((reply for request, reply in self._kept if request == frame), None):
            yield self._again(frame, kept)
        elif header.type == MessageType.HELLO:
            yield self._greet(frame)
        elif header.session != self._session or header.session == SESSION_NONE:
            if self._tells_of_fault and self.fault:
                yield self._unasked(self.fault)
            yield self._refuse(frame, ErrorCode.BAD_SESSION, self._session, header.session)
        elif (header.sequence - due) % 2**16 >= WINDOW - (self._running is not None):
            yield self._refuse(frame, ErrorCode.BAD_SEQUENCE, due, header.sequence)
        else:
            is_new = header.sequence not in self._waiting
            self._waiting[header.sequence] = frame
            if not is_new or (due not in self._waiting and self._running is None):
                yield self._told(frame)
        yield from self._work_on_next()

    def _work_on_next(self) -> Iterator[bytes]:
        while self._running is None and (due := (self._sequence + 1) % 2**16) in self._waiting:
            reply = self._take_on(self._waiting.pop(due))
            if self._running is None:
                yield reply

    def _told(self, frame: Frame) -> bytes:
        due = (self._sequence + 1) % 2**16
        held = sum(1 << ahead for ahead in range(WINDOW) if (due + ahead) % 2**16 in self._waiting)
        return self._frame(frame, messages.Working(steps_done=self._repeats, due=due, held=held))

    def _fail(self) -> bytes:
        """A division by zero, and the restart that it ends in."""
        self.image = b""
        self._restart()
        count = 1 if self.fault is None else self.fault.count + 1
        fault = messages.Fault(
            magic=FAULT_MAGIC,
            cause=FaultCause.USAGE_FAULT,
            exception=6,
            pc=0x08001234,
            lr=0x08001001,
            cfsr=1 << 25,
            count=count,
            build_id=self.hello.build_id,
        )
        self.fault = replace(fault, crc32=crc32(fault.pack()[:-4]))
        self._tells_of_fault = True
        return self._unasked(self.fault)

    def _unasked(self, message: messages.Message) -> bytes:
        return encode_frame(messages.Header(type=message.TYPE | REPLY_BIT, session=self._session), message.pack())

    def _logs(self) -> bytes:
        if self._session == SESSION_NONE:
            return b""
        sent = b"".join(self._unasked(log) for log in self.to_log)
        self.to_log.clear()
        return sent

    def _again(self, frame: Frame, kept: bytes) -> bytes:
        self._count("duplicates")
        if frame == self._running:
            self._repeats += 1
            if self._repeats < self.faults.working:
                return self._told(frame)
            self._running = None
        return kept

    def _greet(self, frame: Frame) -> bytes:
        if messages.Hello.unpack(frame.payload).protocol_major != self.protocol[0]:
            return self._refuse(frame, ErrorCode.BAD_VERSION, *self.protocol)
        self._tells_of_fault = False
        self._forget_session(frame.header.session, frame.header.sequence)
        return self._take_on(frame)

    def _take_on(self, frame: Frame) -> bytes:
        self._sequence, self._repeats = frame.header.sequence, 0
        self.worked_on += 1
        kept = self._answer(frame)
        self._kept.append((frame, kept))
        if frame.header.type == MessageType.RESET:
            self.image = b""
            self._restart()
        elif frame.header.type == MessageType.RUN and self.faults.working:
            self._running = frame
        return kept

    def _answer(self, frame: Frame) -> bytes:
        kind = _KINDS.get(frame.header.type)
        if kind is None:
            return self._refuse(frame, ErrorCode.UNKNOWN_MESSAGE, frame.header.type)
        try:
            request = kind.unpack(frame.payload)
        except ValueError:
            return self._refuse(frame, ErrorCode.BAD_LENGTH, len(frame.payload), kind.size_bytes())
        result = self._work(request)
        return self._frame(frame, result) if isinstance(result, messages.Message) else self._refuse(frame, *result)

    def _work(self, request: messages.Message) -> messages.Message | tuple[ErrorCode, int, int]:
        if isinstance(request, messages.Hello):
            crc = int.from_bytes(self.image[-4:], "little")
            major, minor = self.protocol
            return replace(
                self.hello,
                protocol_major=major,
                protocol_minor=minor,
                model_bytes=len(self.image),
                model_crc32=crc,
                fault_crc32=0 if self.fault is None else self.fault.crc32,
            )
        if isinstance(request, messages.Echo):
            return messages.EchoReply(data=request.data)
        if isinstance(request, messages.Counters):
            return self._counters
        if isinstance(request, messages.Reset):
            return messages.ResetReply()
        if isinstance(request, messages.SetBaud):
            return self._set_baud(request)
        if isinstance(request, messages.ReadFault):
            return self._read_fault(request)
        if isinstance(request, messages.StateReset):
            return messages.StateResetReply()
        if isinstance(request, messages.Run):
            if self.run is None or not self.image:
                return ErrorCode.NO_MODEL, 0, 0
            return messages.RunReply(steps=request.steps, ticks=self.ticks(request), data=self.run(request, self.image))
        return self._work_on_memory(request)

    def _set_baud(self, request: messages.SetBaud) -> messages.Message | tuple[ErrorCode, int, int]:
        clock_hz = self.hello.uart_clock_hz
        real = int((real_baud(clock_hz, request.baud) or 0) + 0.5)
        if not is_possible(clock_hz, request.baud):
            return ErrorCode.BAD_BAUD, real, clock_hz
        self.baud = request.baud
        return messages.SetBaudReply(baud=real)

    def _read_fault(self, request: messages.ReadFault) -> messages.ReadFaultReply:
        fault = self.fault
        if fault is None:
            return messages.ReadFaultReply()
        if fault.crc32 == request.clear_crc32:
            self.fault = None
        return messages.ReadFaultReply(**vars(fault))

    def _work_on_memory(self, request: messages.Message) -> messages.Message | tuple[ErrorCode, int, int]:
        free_bytes = self.hello.arena_bytes
        if isinstance(request, messages.ImageBegin):
            needed_bytes = request.image_bytes + request.work_bytes
            if needed_bytes > free_bytes:
                return ErrorCode.TOO_LARGE, needed_bytes, free_bytes
            self._memory[Region.IMAGE, 0] = bytearray(request.image_bytes)
            return messages.ImageBeginReply(needed_bytes=needed_bytes, free_bytes=free_bytes, arena_bytes=free_bytes)
        if isinstance(request, messages.ImageCommit):
            image = bytes(self._memory.pop((Region.IMAGE, 0), b""))
            if not image:
                return ErrorCode.NO_LOAD, 0, 0
            if crc32(image[:-4]) != request.crc32:
                return ErrorCode.CRC_MISMATCH, request.crc32, crc32(image[:-4])
            self.image = image
            return messages.ImageCommitReply(crc32=request.crc32, node_count=ImageHeader.unpack(image).node_count)
        assert isinstance(request, (messages.Write, messages.Read))
        place = (request.region, request.node)
        if isinstance(request, messages.Read):
            data = self.image if request.region == Region.IMAGE else bytes(self._memory.get(place, b""))
            return messages.ReadReply(data=data[request.offset : request.offset + request.length])
        if request.region == Region.IMAGE and place not in self._memory:
            return ErrorCode.NO_LOAD, 0, 0
        room = self._memory.setdefault(place, bytearray(MAX_PAYLOAD_BYTES))
        end = request.offset + len(request.data)
        if end > len(room):
            return ErrorCode.OUT_OF_RANGE, request.offset, len(room)
        room[request.offset : end] = request.data
        return messages.WriteReply(end_offset=end)

    def _frame(self, request: Frame, message: messages.Message) -> bytes:
        kind = message.TYPE | REPLY_BIT
        if self.faults.wrong_type and request.header.type != MessageType.HELLO:
            kind = self.faults.wrong_type
        return encode_frame(
            messages.Header(type=kind, sequence=request.header.sequence, session=self._session), message.pack()
        )

    def _refuse(self, request: Frame, code: ErrorCode, detail: int = 0, detail2: int = 0) -> bytes:
        group = ErrorGroup.PROTOCOL if code < 16 else ErrorGroup.IMAGE if code < 32 else ErrorGroup.RUN
        error = messages.ErrorReply(
            group=group, request_type=request.header.type, code=code, detail=detail, detail2=detail2
        )
        return self._frame(request, error)

    def _count(self, counter: str) -> None:
        self._counters = replace(self._counters, **{counter: getattr(self._counters, counter) + 1})


class FakeTransport:
    """A line to a fake device on which time passes only by waiting.

    Args:
        device: what is at the other end.
    """

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.now_s = 0.0
        self._pending = b""

    def clock(self) -> float:
        """Seconds: a millisecond for each piece that was read, and all the waiting in vain."""
        return self.now_s

    def sleep(self, seconds: float) -> None:
        """Let time go by."""
        self.now_s += seconds

    def write(self, data: bytes) -> None:
        """Send bytes to the device."""
        self._pending += self.device.receive(data)

    def read(self, timeout_s: float) -> bytes:
        """What the device has sent."""
        data, self._pending = self._pending, b""
        self.now_s += 0.001 if data else timeout_s
        return data

    def close(self) -> None:
        """Nothing to give back."""
