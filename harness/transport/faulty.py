"""A line that errs on purpose, from a seed. It wraps another one.

What happens to the nth byte of a direction depends on the seed, the exchange and n alone, not on the pieces in which
bytes are written and read. Time-outs are another matter: they come from a clock, and whoever repeats himself sends more
bytes. So an exchange can be played again from its seed as exactly as its time-outs come again.
"""

from __future__ import annotations

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from random import Random

from harness.errors import LinkClosed
from harness.transport.base import Transport, WrappedLine
from harness.transport.fault_rates import FaultRates

LONGEST_DELAY_S = 0.03
"""Nearly twice what a USB serial chip may hold a byte back (16 ms), so that a reply comes behind its repeat as well."""

LONGEST_BURST_BYTES = 64
"""A packet of full-speed USB: what a glitch there takes with it."""


_NEVER = 2**62
"""Places: farther than any stream is long."""


class FaultyTransport(WrappedLine):
    """A line with faults between `begin` and `end`; else it passes everything on.

    Args:
        inner: the line; closed with this one.
        rates: how often it errs.
        seed: what it errs by.
        reset: restarts the device at the other end of the line that it is given, which has no faults.
        clock: seconds that only go forward.
        sleep: lets seconds go by.

    Attributes:
        injected: faults so far, by the names of `FaultRates`.
    """

    def __init__(
        self,
        inner: Transport,
        rates: FaultRates,
        seed: int,
        *,
        reset: Callable[[Transport], None],
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(inner)
        self.injected: Counter[str] = Counter()
        self._rates = rates
        self._seed = seed
        self._reset = reset
        self._clock = clock
        self._sleep = sleep
        self._held: deque[tuple[float, bytes]] = deque()
        self._is_gone = False
        self._exchange: _Exchange | None = None

    @property
    def is_gone(self) -> bool:
        """Whether a fault has disconnected the line."""
        return self._is_gone

    def begin(self, exchange: int, span_bytes: int) -> None:
        """Be faulty from here on.

        Args:
            exchange: its number.
            span_bytes: bytes of it in both directions, if nothing goes wrong: where a reset or a disconnect may fall.
        """
        self._exchange = _Exchange(self._rates, f"{self._seed}/{exchange}", span_bytes, self.injected)

    def end(self) -> None:
        """Be a line without faults from here on. What was held back is let go."""
        self._exchange = None
        self._held = deque((0.0, piece) for _, piece in self._held)

    def write(self, data: bytes) -> None:
        """Send bytes, or what is left of them.

        Raises:
            LinkClosed: the line is gone.
        """
        self._check()
        exchange = self._exchange
        if exchange is None:
            self._inner.write(data)
            return
        passing, strike = exchange.until_strike(data)
        for wait_s, piece in exchange.to_device.spoil(exchange.truncated(passing)):
            if wait_s:
                self._sleep(wait_s)
            if piece:
                self._inner.write(piece)
        self._strike(strike)
        self._check()

    def read(self, timeout_s: float) -> bytes:
        """What has arrived, or what is left of it.

        Raises:
            LinkClosed: the line is gone.
        """
        deadline_s = self._clock() + timeout_s
        while True:
            if self._held:
                return self._released(deadline_s)
            self._check()
            data = self._inner.read(max(deadline_s - self._clock(), 0.0))
            if self._exchange is None or not data:
                return data
            passing, strike = self._exchange.until_strike(data)
            due_s = self._clock()
            for wait_s, piece in self._exchange.from_device.spoil(passing):
                due_s += wait_s
                if piece:
                    self._held.append((due_s, piece))
            self._strike(strike)

    def set_baud(self, baud: int) -> None:
        """Change that of the line."""
        self._check()
        super().set_baud(baud)

    def _released(self, deadline_s: float) -> bytes:
        now_s = self._clock()
        due_s, piece = self._held[0]
        if due_s > deadline_s:
            self._sleep(max(deadline_s - now_s, 0.0))
            return b""
        if due_s > now_s:
            self._sleep(due_s - now_s)
        self._held.popleft()
        return piece

    def _strike(self, what: str) -> None:
        if what == "disconnect":
            self._is_gone = True
            self._inner.close()
        elif what == "reset":
            self._reset(self._inner)

    def _check(self) -> None:
        if self._is_gone:
            raise LinkClosed("the line was disconnected by fault injection")


class _Exchange:
    """What goes wrong in one exchange."""

    def __init__(self, rates: FaultRates, seed: str, span_bytes: int, injected: Counter[str]) -> None:
        self.to_device = _Stream(rates, f"{seed}/to", injected)
        self.from_device = _Stream(rates, f"{seed}/from", injected)
        self._truncations = Random(f"{seed}/truncate")
        self._truncate = rates.truncate
        self._injected = injected
        random = Random(f"{seed}/strike")
        disconnects, resets = random.random() < rates.disconnect, random.random() < rates.reset
        self._what = "disconnect" if disconnects else "reset" if resets else ""
        # A fraction, so that a byte more or less of the span moves it by a byte at most.
        self._strike_in_bytes = 1 + int(random.random() * span_bytes)

    def until_strike(self, data: bytes) -> tuple[bytes, str]:
        """What of `data` passes before a reset or a disconnect, and which of them comes then: mostly none."""
        strikes = bool(self._what) and self._strike_in_bytes <= len(data)
        if not strikes:
            self._strike_in_bytes -= len(data)
            return data, ""
        what, self._what = self._what, ""
        self._injected[what] += 1
        return data[: self._strike_in_bytes], what

    def truncated(self, data: bytes) -> bytes:
        if self._truncations.random() >= self._truncate or not data:
            return data
        self._injected["truncate"] += 1
        return data[: self._truncations.randrange(len(data))]


class _Stream:
    """One direction of one exchange."""

    def __init__(self, rates: FaultRates, seed: str, injected: Counter[str]) -> None:
        self._bits = _Places(Random(f"{seed}/bits"), rates.bits)
        self._bursts = _Places(Random(f"{seed}/burst"), rates.burst)
        self._edits = {
            name: _Places(Random(f"{seed}/{name}"), getattr(rates, name)) for name in ("delay", "drop", "duplicate")
        }
        self._garbage_random = Random(f"{seed}/garbage")
        self._delay_random = Random(f"{seed}/seconds")
        self._garbage = b""
        self._injected = injected

    def spoil(self, data: bytes) -> list[tuple[float, bytes]]:
        """What becomes of the next bytes: pieces, each with the seconds that it comes later than the one before."""
        spoilt = bytearray(data)
        for bit in self._bits.among(8 * len(data)):
            spoilt[bit // 8] ^= 1 << bit % 8
            self._injected["bits"] += 1
        self._overwrite(spoilt)
        pieces: list[tuple[float, bytes]] = []
        piece, wait_s, start = bytearray(), 0.0, 0
        edits = ((index, name) for name, places in self._edits.items() for index in places.among(len(data)))
        for index, name in sorted(edits):
            self._injected[name] += 1
            piece += spoilt[start:index]
            start = max(start, index)
            if name == "drop":
                start = index + 1
            elif name == "duplicate":
                piece.append(spoilt[index])
            else:
                pieces.append((wait_s, bytes(piece)))
                piece.clear()
                wait_s = self._delay_random.uniform(0, LONGEST_DELAY_S)
        return [*pieces, (wait_s, bytes(piece + spoilt[start:]))]

    def _overwrite(self, data: bytearray) -> None:
        """Put garbage over data; what does not fit goes over what comes next."""
        start = 0
        for index in self._bursts.among(len(data)):
            self._injected["burst"] += 1
            self._put_garbage(data, start, index)
            start = index
            self._garbage = self._garbage_random.randbytes(self._garbage_random.randint(2, LONGEST_BURST_BYTES))
        self._put_garbage(data, start, len(data))

    def _put_garbage(self, data: bytearray, start: int, end: int) -> None:
        count = min(end - start, len(self._garbage))
        data[start : start + count] = self._garbage[:count]
        self._garbage = self._garbage[count:]


class _Places:
    """Where in a stream something happens that is equally likely at each place: drawn as distances, which is quick."""

    def __init__(self, random: Random, probability: float) -> None:
        self._random = random
        self._probability = probability
        self._next = self._distance()

    def among(self, count: int) -> Iterator[int]:
        """Which of the next `count` places, from 0 on. To be read to its end."""
        while self._next < count:
            yield self._next
            self._next += 1 + self._distance()
        self._next -= count

    def _distance(self) -> int:
        """Places that are passed over: geometrically distributed."""
        if self._probability >= 1:
            return 0
        if self._probability <= 0:
            return _NEVER
        return int(min(math.log(1 - self._random.random()) / math.log1p(-self._probability), _NEVER))
