"""A device on a line: the protocol's session plus time. The only place of the link that has a clock.

Knows requests and replies, not what a model is: `harness.inference` does.
"""

from __future__ import annotations

import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Any, TypeVar, cast

from harness.errors import DeviceFault, DeviceReset, HilError, LinkClosed, LinkTimeout, MismatchError, UsageError
from harness.line_rate import LineRate
from harness.protocol.baud import ECHO_PATTERN
from harness.protocol.faults import Locate, address_only, device_fault, is_sound
from harness.protocol.frame_size import FrameSize
from harness.protocol.messages import (
    Busy,
    Counters,
    CountersReply,
    Echo,
    Fault,
    Hello,
    HelloReply,
    Log,
    ReadFault,
    Reply,
    Request,
    Reset,
    SetBaud,
    Working,
)
from harness.protocol.refusals import DeviceRefused, version_mismatch
from harness.protocol.session import MOST_LOGS, LinkCounters, Session
from harness.protocol.wire import BOOT_BAUD, PROTOCOL_MAJOR, PROTOCOL_MINOR
from harness.transport.base import Transport

ReplyT = TypeVar("ReplyT", bound=Reply)

Call = tuple[Request[Any], Callable[[Any], None]]
"""A request, and what its reply is given to."""

FIRST_TIMEOUT_S = 0.5
"""Wait before a request is sent again: far over an emulator's answer (1 ms), short against a person's patience."""

MAX_ATTEMPTS = 10
"""Of a request, without anything heard: it is given up after 31 s, since a busy machine may stall an emulator for long.
Of small frames at a bit error in 10,000 one in four is not answered: ten in a row, once in a million."""

_LONGEST_WAIT = 8
"""Times the first one: the wait is doubled until then."""

MAX_UNLUCKY_ATTEMPTS = 100
"""Of a request whose frame never gets through while others do: of the largest ones one in five survives a bit error in
10,000, in both directions one in 25."""

GREETING_INTERVAL_S = 0.04
"""HELLO is repeated so often until the device has booted: its answer takes 31 ms at 115200 baud."""

_CONNECT_TIMEOUT_S = 15.0
"""For a device that boots, on a busy machine."""

MOST_BUSY_S = 30.0
"""Longest announced silence that is waited out at once: erasing all of the flash store takes 7.1 s at most."""

_GOODBYE_TIMEOUT_S = 0.1
"""For the answer to the last request, which nobody needs."""

_SHOWN_BYTES = 32
"""Of what came last, to show what kind of firmware it is."""

_BITS_PER_BYTE = 10  # 8N1: a start bit, eight data bits, a stop bit


@dataclass(frozen=True)
class Timing:
    """How long a host waits. What is there by default serves every device; a shorter wait makes a bad line quicker.

    Attributes:
        first_timeout_s: before a request is sent again; doubled each time.
        greeting_interval_s: before HELLO is sent again.
        is_paced: bytes take the time that the device's baud says; they do not where it is no UART of hardware.
    """

    first_timeout_s: float = FIRST_TIMEOUT_S
    greeting_interval_s: float = GREETING_INTERVAL_S
    is_paced: bool = True

    @property
    def given_up_s(self) -> float:
        """When a request is given up, the time on the line apart."""
        return sum(map(self.timeout_s, range(MAX_ATTEMPTS)))

    def timeout_s(self, attempt: int) -> float:
        """How long an answer is waited for, attempts counted from 0."""
        return float(self.first_timeout_s * min(2**attempt, _LONGEST_WAIT))


def random_session_id() -> int:
    """An id that no session before had, as good as surely."""
    return secrets.randbelow(2**32 - 1) + 1


class Device:
    """A greeted device.

    Args:
        transport: the line; closed with the device.
        clock: seconds that only go forward; tests bring their own.
        timing: how long it waits.
        session_id: gives the id of each new session, 1 to 2**32 - 1; a replay brings the recorded ones.
        locate: finds the place of an address in the program's source; used when the device faulted.
        on_log: told each LOG as it comes, which is with the next reply or before.
        reopen: opens the line again after its other end has closed it; None where that is the end of the device.
    """

    def __init__(
        self,
        transport: Transport,
        clock: Callable[[], float] = time.monotonic,
        *,
        timing: Timing = Timing(),
        session_id: Callable[[], int] = random_session_id,
        locate: Locate = address_only,
        on_log: Callable[[Log], None] = lambda _: None,
        reopen: Callable[[], Transport | None] = lambda: None,
    ) -> None:
        self._reopen = reopen
        self._locate = locate
        self._on_log = on_log
        self._transport = transport
        self._clock = clock
        self._timing = timing
        self._session_id = session_id
        self._frame_size = FrameSize()
        self._session = Session(session_id(), self._frame_size, locate)
        self._logs: deque[Log] = deque(maxlen=MOST_LOGS)
        self._info: HelloReply | None = None
        self._last_bytes = b""
        self._rate = LineRate(transport)
        self._wanted_baud: int | None = None

    @property
    def info(self) -> HelloReply:
        """What the device said of itself when it was greeted."""
        if self._info is None:
            raise RuntimeError("connect() comes first")
        return self._info

    @property
    def link_counters(self) -> LinkCounters:
        """What the host saw of the link in this session."""
        return self._session.counters

    @property
    def payload_limit_bytes(self) -> int:
        """What payloads should not exceed now, as far as they can be cut: little on a line that errs."""
        return min(self._frame_size.limit_bytes, self.info.max_payload_bytes)

    @property
    def baud(self) -> int:
        """The baud of the line, where it has one."""
        return self._rate.baud

    def connect(self, timeout_s: float = _CONNECT_TIMEOUT_S) -> HelloReply:
        """Greet the device and open a session. Ready means answered.

        Raises:
            LinkTimeout: nothing that speaks the protocol answered.
            DeviceFault: it did not answer but fault, perhaps again and again.
            MismatchError: it speaks another version.
        """
        return self._greet(timeout_s, LinkCounters())

    def _greet(self, timeout_s: float, counters: LinkCounters) -> HelloReply:
        # A new session, also on a line that was used before: its id must not meet an old one.
        self._session = Session(self._session_id(), self._frame_size, self._locate, counters)
        request = Hello(protocol_major=PROTOCOL_MAJOR, protocol_minor=PROTOCOL_MINOR)
        deadline_s = self._clock() + timeout_s
        greetings = 1
        self._transport.write(self._session.send(request))
        while True:
            reply = self._wait(self._timing.greeting_interval_s)  # also where writing took all the time
            if reply is not None:
                self._info = _of_our_protocol(cast(HelloReply, reply))
                self._wanted_baud = self._wanted_baud or self.baud
                return self._info
            if self._clock() >= deadline_s:
                break
            greetings += 1
            self._rate.before_greeting(greetings)
            self._transport.write(self._session.repeat())
        if self._session.fault is not None:
            raise device_fault(self._session.fault, self._locate)
        raise self._timed_out("Hello", timeout_s)

    def request(self, request: Request[ReplyT]) -> ReplyT:
        """Ask, and wait for the answer; asks again when none comes. A request is never worked on twice.

        Raises:
            LinkTimeout: no answer after all attempts.
            LinkClosed: the line is gone.
            DeviceRefused, DeviceReset, MismatchError: see `Session.next_event`.
        """
        replies: list[ReplyT] = []
        self.exchange([(request, replies.append)])
        return replies[0]

    def exchange(self, calls: Iterable[Call], *, one_by_one: bool = False) -> None:
        """Ask many things, several of them under way at once; the device works on them in this order.

        Args:
            calls: requests, each with what its reply is given to. The next one is taken when there is room for it, so
                that it may depend on replies that came before, and on `payload_limit_bytes`.
            one_by_one: the next request is sent when the one before is answered: for whatever leaves the device deaf.

        Raises:
            What `request` raises. After a refusal what was under way is waited for; the rest is not asked any more.
        """
        waiting: deque[Call] = deque()
        following = iter(calls)
        try:
            while True:
                while self._session.may_send and not (one_by_one and waiting):
                    call = next(following, None)
                    if call is None:
                        break
                    waiting.append(call)
                    self._transport.write(self._session.send(call[0]))
                if not waiting:
                    return
                reply = self._reply_to(waiting[0][0])
                waiting.popleft()[1](reply)
        except DeviceRefused:
            waiting.popleft()
            self._drain(waiting)
            raise

    def _drain(self, waiting: Iterable[Call]) -> None:
        """Wait for what is still under way behind a refusal: the device works on it all the same."""
        for request, _ in waiting:
            with suppress(DeviceRefused):
                self._reply_to(request)

    def _reply_to(self, request: Request[Any]) -> Reply:
        """The reply to the oldest request under way."""
        reply_bytes = self.info.max_payload_bytes * self._session.requests_under_way
        line_s = self._line_time_s(self._session.bytes_under_way + reply_bytes)
        attempt = attempts = 0
        waited_s = busy_s = 0.0
        frames = self._session.counters.frames_received
        while True:
            timeout_s = self._timing.timeout_s(attempt) + line_s + busy_s
            reply = self._wait(timeout_s)
            busy_s = 0.0
            if isinstance(reply, (Working, Busy)):
                attempt, attempts, waited_s = 0, 0, 0.0
                busy_s = min(reply.busy_ms / 1000, MOST_BUSY_S) if isinstance(reply, Busy) else 0.0
                continue
            if reply is not None:
                return reply
            waited_s += timeout_s
            attempts += 1
            heard, frames = self._session.counters.frames_received > frames, self._session.counters.frames_received
            attempt = 0 if heard else attempt + 1  # others get through: this one is unlucky, and the line is there
            if attempt == MAX_ATTEMPTS or attempts == MAX_UNLUCKY_ATTEMPTS:
                raise self._timed_out(type(request).__name__, waited_s)
            self._rate.before_repeat(attempt)
            self._transport.write(self._session.repeat())

    def recover(self, error: LinkClosed | DeviceReset) -> None:
        """Meet the same device again after its line was closed or it restarted. Its session and state are new.

        Raises:
            LinkClosed, DeviceReset: `error` again, where there is no way back: a line that cannot be opened again, or a
                restart whose cause was a fault.
            MismatchError: another device, or another program, is there now.
            LinkError: it does not answer.
        """
        if isinstance(error, DeviceFault):
            raise error
        if isinstance(error, LinkClosed):
            line = self._reopen()
            if line is None:
                raise error
            self._transport.close()
            self._transport = line
            self._rate = LineRate(line)
        before, counters = self.info, self._session.counters
        now = self._greet(_CONNECT_TIMEOUT_S, counters)
        counters.recoveries += 1
        if now.fault_crc32 not in (0, before.fault_crc32):  # the frame that tells so was lost
            fault = self.read_fault()
            if fault is not None:
                raise device_fault(fault, self._locate)
        if (now.unique_id, now.build_id) != (before.unique_id, before.build_id):
            raise MismatchError(
                "after the line was lost another device or another program answers there",
                code="another_device",
                remedy="run again",
            )
        if self._wanted_baud is not None and self._wanted_baud != self.baud:
            self.set_baud(self._wanted_baud)

    def counters(self) -> CountersReply:
        """The device's own link counters."""
        return self.request(Counters())

    def take_logs(self) -> tuple[Log, ...]:
        """What the device has told since this was last asked, oldest first."""
        logs = tuple(self._logs)
        self._logs.clear()
        return logs

    def read_fault(self) -> Fault | None:
        """The record of a fault that ended the program before and was not cleared yet; None: there is none.

        Asks the device only where its greeting said that there is one.
        """
        if self.info.fault_crc32 == 0:
            return None
        fault = self.request(ReadFault())
        return fault if is_sound(fault) else None

    def clear_fault(self, fault: Fault) -> None:
        """Have the device forget this record; a newer one stays. What clears it is what has told somebody of it."""
        self.request(ReadFault(clear_crc32=fault.crc32))

    def reset(self) -> HelloReply:
        """Restart the device and greet it again. Image and state are gone; the baud is that of the boot."""
        with suppress(DeviceReset):  # its reply was lost, and the repeat met a device that had restarted
            self.request(Reset())
        if self._rate.baud != BOOT_BAUD:
            self._rate.go_to(BOOT_BAUD)
        return self.connect()

    def set_baud(self, baud: int) -> int:
        """Change the baud of both ends, and keep it if an echo comes back at once. The session goes on in any case.

        Args:
            baud: wanted, bits per second.

        Returns:
            The baud in force then: the wanted one, or BOOT_BAUD, where they meet if it does not work.

        Raises:
            UsageError: the line has no baud, or the device's clock gives nothing near it; nothing was changed then. Or
                the port has not this one: then both are at BOOT_BAUD.
            DeviceRefused: the device does not want it; nothing was changed.
            LinkTimeout, LinkClosed, DeviceReset: see `request`.
        """
        self._rate.check(baud, self.info.uart_clock_hz)
        self._wanted_baud = baud
        self._rate.switching_to = baud
        try:
            self.request(SetBaud(baud=baud))
        finally:
            self._rate.switching_to = None
        try:
            self._rate.go_to(baud)
        except UsageError:
            self._rate.call()
            self.request(Echo())
            raise
        self.request(Echo(data=ECHO_PATTERN))
        return self._rate.baud

    def close(self) -> None:
        """Give the line back, with a device that the next host finds where it looks first."""
        if self._rate.baud != BOOT_BAUD:
            with suppress(HilError):  # of no use on a dead line; then it is found by the next host's call
                self._transport.write(self._session.send(SetBaud(baud=BOOT_BAUD)))
                self._wait(_GOODBYE_TIMEOUT_S)
        self._transport.close()

    def __enter__(self) -> Device:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _wait(self, timeout_s: float) -> Reply | None:
        deadline_s = self._clock() + timeout_s
        while True:
            try:
                event = self._session.next_event()
            finally:
                while self._session.logs:
                    self._logs.append(self._session.logs[0])
                    self._on_log(self._session.logs.popleft())
            lost = self._session.lost()
            if lost:
                self._transport.write(lost)
            left_s = deadline_s - self._clock()
            if event is not None or left_s <= 0:
                return event
            data = self._transport.read(left_s)
            self._last_bytes = (self._last_bytes + data)[-_SHOWN_BYTES:]
            self._session.receive(data)

    def _line_time_s(self, size_bytes: int) -> float:
        # Emulators and processes announce a baud that nothing paces: the allowance is then merely generous.
        is_paced = self._timing.is_paced and self.info.baud
        return size_bytes * _BITS_PER_BYTE / self._rate.baud if is_paced else 0.0

    def _timed_out(self, what: str, waited_s: float) -> LinkTimeout:
        counters = self._session.counters
        seen = f"{counters.bytes_received} bytes came, {counters.frames_received} frames, {counters.bad_frames} bad"
        if counters.last_bad is not None:
            seen += f", the last one {counters.last_bad.fault.value}: {counters.last_bad.encoded[:16].hex(' ')}"
        if counters.bytes_received == 0:
            code = "device_silent"
            remedy = "look whether the device has power and runs this firmware, and whether this is its port"
        elif counters.frames_received == 0:
            code = "no_frames"
            seen += f"; it sends {self._last_bytes!r}"
            remedy = "bytes come, but no frames: look for another baud or another firmware"
        else:
            code = ""
            remedy = "frames came before: look for a loose cable or a device that hangs"
        return LinkTimeout(f"no answer to {what} within {waited_s:.0f} s ({seen})", code=code, remedy=remedy)


def _of_our_protocol(hello: HelloReply) -> HelloReply:
    """The same, or an error: a device may answer a greeting of another version instead of refusing it."""
    if hello.protocol_major != PROTOCOL_MAJOR:
        raise version_mismatch(hello.protocol_major, hello.protocol_minor)
    return hello
