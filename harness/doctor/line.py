"""Who is at the other end of a port, when our firmware does not answer there. Takes a few seconds at most.

A greeting at the baud that was asked for; then 0x7F, which a boot loader answers, and AT, which a modem answers; then
greetings at other rates. The first that explains all is the finding.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from harness.device import Device
from harness.doctor.looks import is_boot_loader, is_text, looks_like, shown
from harness.errors import HilError, LinkTimeout, MismatchError, TargetUnavailable
from harness.findings import found
from harness.protocol.messages import Echo, HelloReply
from harness.transport.base import Transport, baud_of, set_baud

RATES = (115200, 9600, 19200, 38400, 57600, 230400, 460800, 921600, 1_000_000, 2_000_000)
"""The usual ones: what firmware is set to, and what hosts and probes agree on."""

PATIENT_S = 2.5
"""Our firmware answers within 0.1 s, 0.5 s after a reset, and 2 s where it is called back from another baud."""

IMPATIENT_S = 0.5
"""Where somebody has waited for it long enough before."""

_RATE_TIMEOUT_S = 0.1
"""Beside the time that greeting and answer take on the line: our firmware answers within a millisecond."""

_GREETING_BITS = 4000
"""A greeting and its answer are below 400 bytes, of ten bits each."""

_QUESTION_TIMEOUT_S = 0.15
"""A modem echoes at once, and a boot loader answers within milliseconds."""

_AT = b"\r\nAT\r\n"

_FASTEST_MODEM = 115200
"""Beyond it only our own firmware is looked for."""

_EXCHANGES = 16
_ECHO_BYTES = 1000

OpenLine = Callable[[str, int], Transport]
Clock = Callable[[], float]


@dataclass
class Tap:
    """A line that remembers what went over it."""

    line: Transport
    sent: bytes = b""
    received: bytes = b""

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        self.sent += data
        self.line.write(data)

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived."""
        data = self.line.read(timeout_s)
        self.received += data
        return data

    def close(self) -> None:
        """Give the line back."""
        self.line.close()

    @property
    def baud(self) -> int | None:
        """That of the line."""
        return baud_of(self.line)

    def set_baud(self, baud: int) -> None:
        """Change it."""
        set_baud(self.line, baud)

    def ask(self, question: bytes, clock: Clock) -> bytes:
        """All that comes within a short time after a question."""
        before = len(self.received)
        self.write(question)
        left_s = _QUESTION_TIMEOUT_S
        deadline_s = clock() + left_s
        while left_s > 0:  # true once, also where all of the time goes by while we do not run
            self.read(left_s)
            left_s = deadline_s - clock()
        return self.received[before:]


@dataclass
class _Search:
    """What has been tried, and what came."""

    url: str
    asked: int
    open_line: OpenLine
    clock: Clock
    heard: dict[int, bytes] = field(default_factory=dict)

    def at(self, baud: int, timeout_s: float) -> HelloReply | None:
        """Greet at a rate; our firmware's answer, or None.

        Raises:
            HilError: the port cannot be opened, or what answers is a finding by itself.
        """
        tap = Tap(self.open_line(self.url, baud))
        try:
            try:
                return Device(tap, self.clock).connect(timeout_s)
            except LinkTimeout:
                pass
            except MismatchError as error:
                if not _is_echo(tap):
                    error.message += f" (at {baud} baud)" if baud != self.asked else ""
                    raise
            self._ask(tap, baud)
            return None
        finally:
            tap.close()

    def answers_at(self, rate: int) -> bool:
        """Whether our firmware answers at another rate. Errors: see `at`; a rate that the port has not is left out."""
        try:
            return self.at(rate, _RATE_TIMEOUT_S + _GREETING_BITS / rate) is not None
        except TargetUnavailable as error:
            if error.code != "port_unusable":
                raise
            return False

    def explain_text(self) -> None:
        """Raise the finding that text is, the longest one where several rates seem to give some."""
        texts = {baud: data for baud, data in self.heard.items() if is_text(data)}
        if texts:
            baud = max(texts, key=lambda baud: len(texts[baud]))
            raise self._other_firmware(baud, texts[baud])

    def _ask(self, tap: Tap, baud: int) -> None:
        echoes = _is_echo(tap)
        unasked = tap.received
        if baud == self.asked and not echoes and is_boot_loader(answer := tap.ask(b"\x7f", self.clock)):
            raise found("boot_loader", port=self.url, shown=answer.hex(" "))
        answer = b""
        if baud <= _FASTEST_MODEM and not is_text(unasked):
            answer = tap.ask(_AT, self.clock).replace(_AT.strip(), b"")
        if echoes and is_text(answer):
            raise self._other_firmware(baud, answer)
        if echoes:
            raise found("line_echoes", port=self.url)
        self.heard[baud] = answer if is_text(answer) else unasked or answer

    def _other_firmware(self, baud: int, text: bytes) -> HilError:
        return found("not_our_firmware", port=self.url, baud=baud, looks_like=looks_like(text), shown=shown(text))


def _is_echo(tap: Tap) -> bool:
    """Whether our own greeting came back: the frame, without the delimiters around it."""
    frame = tap.sent.strip(b"\0").split(b"\0")[0]
    return frame in tap.received


def examine(
    url: str, baud: int, open_line: OpenLine, clock: Clock = time.monotonic, *, timeout_s: float = PATIENT_S
) -> HelloReply:
    """What our firmware at a port says of itself.

    Args:
        url: the port.
        baud: with which our firmware begins.
        open_line: opens a port at a baud.
        clock: seconds that only go forward.
        timeout_s: how long to wait for it there, before other bauds are tried, where the port has a baud at all.

    Raises:
        HilError: a finding: what is there instead.
    """
    start_s = clock()
    search = _Search(url, baud, open_line, clock)
    hello = search.at(baud, timeout_s)
    if hello is not None:
        return hello
    search.explain_text()
    others = [rate for rate in RATES if rate != baud] if has_baud(url) else []
    for rate in others:
        if search.answers_at(rate):
            raise found("wrong_baud", port=url, asked=baud, actual=rate)
    search.explain_text()
    bauds = ", ".join(str(rate) for rate in search.heard)
    noisy = [rate for rate, data in search.heard.items() if data]
    if noisy:
        raise found("unreadable_bytes", port=url, bauds=bauds, baud=noisy[0], shown=shown(search.heard[noisy[0]]))
    raise found("device_silent", port=url, seconds=f"{clock() - start_s:.1f}", bauds=bauds)


def has_baud(url: str) -> bool:
    """Whether a port's baud means anything: behind a raw socket it is set at the other end."""
    return "://" not in url or url.startswith("rfc2217:")


def line_quality(device: Device, url: str) -> str:
    """Send full frames there and back; what came of it.

    Raises:
        HilError: the finding that some were lost or damaged, or that the device is gone.
    """
    theirs = device.counters()
    ours = replace(device.link_counters)
    size_bytes = min(_ECHO_BYTES, device.info.max_payload_bytes)
    for number in range(_EXCHANGES):
        device.request(Echo(data=bytes((number + position) % 256 for position in range(size_bytes))))
    repeats = device.link_counters.repeats - ours.repeats
    after = device.counters()  # behind all other answers
    seen = device.link_counters.since(ours)
    # What was answered twice was late, and not lost: this machine had other things to do.
    if repeats <= seen.stale_frames and not seen.bad_frames:
        return f"{_EXCHANGES} frames of {size_bytes} bytes there and back: none lost, none damaged"
    raise found(
        "line_noisy",
        port=url,
        exchanges=_EXCHANGES,
        repeats=repeats,
        bad_frames=seen.bad_frames,
        crc_errors=after.crc_errors - theirs.crc_errors,
        overruns=after.uart_overruns - theirs.uart_overruns,
        noise=after.uart_noise - theirs.uart_noise,
    )
