"""Two pipes as a transport: the standard input and output of an emulator or of the native firmware."""

from __future__ import annotations

import array
import os
import select
import time

from harness.errors import LinkClosed, LinkTimeout

_READ_BYTES = 65536
_WRITE_TIMEOUT_S = 10.0
"""A device that takes no bytes for so long will take none any more: frames are about 1 KB."""


class Pipes:
    """A line over two pipes.

    Args:
        reader: the end of a pipe to read from; ours from now on.
        writer: the end of a pipe to write to; ours from now on.
        peer: what is at the other end, for error messages.
        gather_s: wait so long from the first byte on before reading. An emulated UART writes byte by byte, and waking
            us for each of them costs it more than the byte itself.
    """

    def __init__(self, reader: int, writer: int, peer: str, *, gather_s: float = 0.0) -> None:
        os.set_blocking(writer, False)
        self._reader = os.fdopen(reader, "rb", buffering=0)
        self._writer = os.fdopen(writer, "wb", buffering=0)
        self._peer = peer
        self._gather_s = gather_s

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        rest = memoryview(data)
        try:
            while rest:
                _, writable, _ = select.select([], [self._writer], [], _WRITE_TIMEOUT_S)
                if not writable:
                    raise LinkTimeout(f"{self._peer} took no bytes for {_WRITE_TIMEOUT_S:g} s")
                rest = rest[self._writer.write(rest) or 0 :]
        except (OSError, ValueError) as error:
            raise self._closed() from error

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived within `timeout_s`."""
        try:
            readable, _, _ = select.select([self._reader], [], [], max(timeout_s, 0.0))
            if not readable:
                return b""
            if self._gather_s > 0:
                time.sleep(self._gather_s)
            data = self._reader.read(_READ_BYTES)
        except (OSError, ValueError) as error:
            raise self._closed() from error
        if not data:
            raise self._closed()
        return data

    def is_drained(self) -> bool:
        """Whether the other end has taken all bytes that it was sent.

        Raises:
            LinkClosed: this end is closed.
        """
        import fcntl  # not on Windows, where nobody asks
        import termios

        unread = array.array("i", [0])
        try:
            fcntl.ioctl(self._writer, termios.FIONREAD, unread)
        except (OSError, ValueError) as error:
            raise self._closed() from error
        return unread[0] == 0

    def close(self) -> None:
        """Close both ends."""
        self._reader.close()
        self._writer.close()

    def _closed(self) -> LinkClosed:
        return LinkClosed(f"{self._peer} has gone away", remedy="run again; its log is in the .hil/logs folder")
