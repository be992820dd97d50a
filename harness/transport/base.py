"""What the device needs from a line."""

from __future__ import annotations

from typing import Protocol, cast


class WithBaud(Protocol):
    """What a line may have besides: a baud that can be changed."""

    @property
    def baud(self) -> int | None:
        """That of this end; None where there is none, as where a pipe is wrapped."""

    def set_baud(self, baud: int) -> None:
        """Go on at another baud, once all bytes have left that were written.

        Raises:
            UsageError: the port has not this one.
            LinkClosed: the other end is gone.
        """


def baud_of(line: Transport) -> int | None:
    """The baud of a line; None where it has none that could be changed."""
    return getattr(line, "baud", None)


def set_baud(line: Transport, baud: int) -> None:
    """Change the baud of a line that has one; errors: see `WithBaud.set_baud`."""
    cast(WithBaud, line).set_baud(baud)


class Transport(Protocol):
    """A line to a device: a socket, a pipe, a serial port."""

    def write(self, data: bytes) -> None:
        """Send all bytes.

        Raises:
            LinkClosed: the other end is gone.
        """

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived, waiting up to `timeout_s` for the first byte; empty when nothing came.

        Raises:
            LinkClosed: the other end is gone.
        """

    def close(self) -> None:
        """Give the line back. May be called twice."""


class WrappedLine:
    """A line around another one.

    Args:
        inner: the other one; closed with this one.
    """

    def __init__(self, inner: Transport) -> None:
        self._inner = inner

    @property
    def baud(self) -> int | None:
        """That of the inner line."""
        return baud_of(self._inner)

    def set_baud(self, baud: int) -> None:
        """Change that of the inner line."""
        set_baud(self._inner, baud)

    def close(self) -> None:
        """Give the inner line back."""
        self._inner.close()
