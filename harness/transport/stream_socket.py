"""A connected stream socket as a transport: QEMU's chardev, and the native firmware's stdin and stdout."""

from __future__ import annotations

import select
import socket

from harness.errors import LinkClosed, LinkTimeout

_READ_BYTES = 65536
_WRITE_TIMEOUT_S = 10.0
"""A device that takes no bytes for so long will take none any more: frames are about 1 KB."""


class StreamSocket:
    """A line over a connected socket.

    Args:
        connection: the socket; closed with the transport.
        peer: what is at the other end, for error messages.
    """

    def __init__(self, connection: socket.socket, peer: str) -> None:
        self._connection = connection
        self._peer = peer
        connection.settimeout(_WRITE_TIMEOUT_S)
        if connection.family in (socket.AF_INET, socket.AF_INET6):
            # Without it a short frame waits for the acknowledgement of the one before: 44 ms instead of 0.5.
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        try:
            self._connection.sendall(data)
        except TimeoutError as error:
            raise LinkTimeout(f"{self._peer} took no bytes for {_WRITE_TIMEOUT_S:g} s") from error
        except OSError as error:
            raise self._closed() from error

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived within `timeout_s`."""
        try:
            readable, _, _ = select.select([self._connection], [], [], max(timeout_s, 0.0))
            if not readable:
                return b""
            data = self._connection.recv(_READ_BYTES)
        except (OSError, ValueError) as error:
            raise self._closed() from error
        if not data:
            raise self._closed()
        return data

    def close(self) -> None:
        """Close the socket."""
        self._connection.close()

    def _closed(self) -> LinkClosed:
        return LinkClosed(f"{self._peer} has gone away", remedy="run again; its log is in the .hil/logs folder")
