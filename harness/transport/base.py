"""What the device needs from a line."""

from __future__ import annotations

from typing import Protocol


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
