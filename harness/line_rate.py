"""The baud of a line, and where to look for a device that has fallen silent: it may have another one by now.

Both ends can lose each other when the baud is changed, when the device restarts and when a host goes away. They always
meet again at BOOT_BAUD: a device there stays there; one elsewhere goes there after BAUD_FALLBACK_BYTES without a valid
frame, and gets as many from a host that calls it.
"""

from __future__ import annotations

from harness.errors import UsageError
from harness.protocol.baud import COMMON_BAUDS, baud_error, is_possible
from harness.protocol.wire import BAUD_FALLBACK_BYTES, BOOT_BAUD, MAX_BAUD, MAX_BAUD_ERROR_PER_MILLE
from harness.transport.base import Transport, baud_of, set_baud

FIRST_CALL_GREETING, CALL_EVERY_GREETINGS = 25, 50
"""A device at BOOT_BAUD answers the first greeting after it has booted: a second is long enough to wait for it. A call
takes the line 0.7 s."""

_SPARE_BYTES = 64
"""More than are needed, since some may be lost."""

_PATIENT_ATTEMPTS = 2
"""So often a request is sent at the same baud: one of two may be lost."""


def check_baud(baud: int, clock_hz: int) -> None:
    """Refuse a baud that a USART cannot have.

    Args:
        baud: bits per second.
        clock_hz: of the USART.

    Raises:
        UsageError: the clock gives nothing near it.
    """
    if is_possible(clock_hz, baud):
        return
    error = baud_error(clock_hz, baud)
    off = "nothing near it" if error is None else f"{error:+.2%} off"
    raise UsageError(
        f"{baud} baud cannot be had: a USART clock of {clock_hz} Hz gives {off}",
        code="baud_impossible",
        remedy=f"within {MAX_BAUD_ERROR_PER_MILLE / 10:g} % and up to {MAX_BAUD}, for example "
        f"{', '.join(str(each) for each in COMMON_BAUDS if is_possible(clock_hz, each))}",
    )


class LineRate:
    """What baud the host's end of a line has.

    Args:
        line: with a baud or without.

    Attributes:
        switching_to: the baud that the device may have gone to already; None: nobody asked it to.
    """

    def __init__(self, line: Transport) -> None:
        self.switching_to: int | None = None
        self._line = line
        self._is_lost = False

    @property
    def has_baud(self) -> bool:
        """Whether the line has one that can be changed."""
        return baud_of(self._line) is not None

    @property
    def baud(self) -> int:
        """That of the host's end; BOOT_BAUD where there is none."""
        return baud_of(self._line) or BOOT_BAUD

    def check(self, baud: int, clock_hz: int) -> None:
        """Refuse a baud that cannot be.

        Args:
            baud: bits per second.
            clock_hz: of the device's USART.

        Raises:
            UsageError: the line has none, or the clock gives nothing near it.
        """
        if not self.has_baud:
            raise UsageError(
                "this line has no baud: it is no serial port",
                code="line_without_baud",
                remedy="leave out --baud: a pipe or a socket is as fast as it is",
            )
        check_baud(baud, clock_hz)

    def go_to(self, baud: int) -> None:
        """Change the host's end; errors: see `WithBaud.set_baud`."""
        set_baud(self._line, baud)

    def call(self) -> None:
        """Go to BOOT_BAUD, and have the device go there too, wherever it is.

        By zeros: where they are heard as such they are borders of frames and no more.
        """
        if self.baud != BOOT_BAUD:
            self.go_to(BOOT_BAUD)
        self._line.write(bytes(BAUD_FALLBACK_BYTES + _SPARE_BYTES))

    def before_greeting(self, greeting: int) -> None:
        """Look elsewhere, if it is time for that: a host before us may have left the device at another baud.

        Args:
            greeting: how many went unanswered.
        """
        if greeting % CALL_EVERY_GREETINGS == FIRST_CALL_GREETING and self.has_baud:
            self.call()

    def before_repeat(self, attempt: int) -> None:
        """Look elsewhere, if it is time for that.

        Args:
            attempt: how often the request under way was sent in vain.
        """
        if attempt < _PATIENT_ATTEMPTS:
            self._is_lost = False  # the request before was answered
        elif self.switching_to is not None and attempt == _PATIENT_ATTEMPTS:
            self.go_to(self.switching_to)  # it may have heard us, and its reply was lost
        elif self.switching_to is not None or self.baud != BOOT_BAUD or self._is_lost:
            self.switching_to = None
            self._is_lost = True
            self.call()
