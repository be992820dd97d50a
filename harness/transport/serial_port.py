"""A serial port as a transport: any URL that pyserial opens, a device of this machine or one behind a network.

The port is opened for us alone, at 8N1 without flow control. No BREAK is ever sent, and DTR and RTS stay as the system
sets them when a port is opened: on other people's boards both may be wired to a reset.
"""

from __future__ import annotations

import errno
import time
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from harness.errors import HilError, LinkClosed, LinkTimeout, UsageError
from harness.findings import found
from harness.transport.ports import holders, is_hardware
from harness.transport.rights import how_to_open, owner_of, user_name

if TYPE_CHECKING:
    from serial import SerialBase

BAUD = 115200
"""What the firmware sets its USART to."""

_POLL_S = 0.02
"""pyserial's own read time-out. It stays as it is, since a change of it makes RFC 2217 negotiate anew."""

_WRITE_TIMEOUT_S = 10.0
"""A port that takes no bytes for so long will take none any more: a frame needs 0.1 s at 115200 baud."""

_LARGEST_READ_BYTES = 65536

_WITH_BAUD = ("rfc2217:", "spy:", "alt:", "hwgrep:")
"""URLs of pyserial behind which is a port with a baud. socket:// and loop:// take one, and do nothing with it."""


@dataclass(frozen=True)
class Address:
    """Where a port is.

    Attributes:
        url: a device name or URL for pyserial; None: to be found by its USB ids.
        baud: bits per second that were asked for; None: none.
    """

    url: str | None
    baud: int | None = None

    @property
    def is_device(self) -> bool:
        """Whether it is a device of this machine, and not something behind a URL."""
        return self.url is not None and "://" not in self.url


def parse_address(text: str | None) -> Address:
    """What a person gave as port: nothing, a URL of pyserial, or ST's `serial`, `serial:PORT`, `serial:PORT:BAUD`.

    Raises:
        UsageError: it is none of these.
    """
    if text is None:
        return Address(None)
    if not text:
        raise UsageError("the port is empty", remedy="name a port, for example /dev/ttyACM0")
    if text != "serial" and not text.startswith("serial:"):
        return Address(text)
    port, _, baud = text.removeprefix("serial").removeprefix(":").rpartition(":")
    if not baud.isdigit():  # a colon may be part of the device's name, or there is none
        return Address(text.removeprefix("serial").removeprefix(":") or None)
    if int(baud) == 0:
        raise UsageError(f"{text} asks for 0 baud", remedy=f"the firmware talks at {BAUD} baud")
    return Address(port or None, int(baud))


class SerialPort:
    """A line over a serial port.

    Args:
        url: a device name, or a URL that pyserial knows: socket://, rfc2217://, loop://, spy:// and others.
        baud: bits per second.

    Raises:
        TargetUnavailable: it is not there, is not ours to use, or somebody else has it.
        UsageError: pyserial does not know such a URL.
    """

    def __init__(self, url: str, baud: int = BAUD) -> None:
        self._url = url
        self._refuse_shared(url)
        self._port = _opened(url, baud)

    def write(self, data: bytes) -> None:
        """Send all bytes."""
        from serial import SerialTimeoutException

        try:
            self._port.write(data)
        except SerialTimeoutException as error:
            raise LinkTimeout(
                f"{self._url} took no bytes for {_WRITE_TIMEOUT_S:g} s", remedy="unplug the board and plug it in again"
            ) from error
        except OSError as error:
            raise self._closed(error) from error

    def read(self, timeout_s: float) -> bytes:
        """Whatever has arrived within `timeout_s`; may take 20 ms longer."""
        deadline_s = time.monotonic() + timeout_s
        try:
            while True:
                data: bytes = self._port.read(1)
                while data and len(data) < _LARGEST_READ_BYTES and (waiting := self._port.in_waiting):
                    data += self._port.read(waiting)
                if data or time.monotonic() >= deadline_s:
                    return data
        except (OSError, TypeError) as error:  # TypeError: pyserial's answer to a port that was closed
            raise self._closed(error) from error

    @property
    def baud(self) -> int | None:
        """That of the port; None where its URL tells that there is none."""
        return int(self._port.baudrate) if "://" not in self._url or self._url.startswith(_WITH_BAUD) else None

    def set_baud(self, baud: int) -> None:
        """Go on at another baud, once all bytes have left that were written."""
        before = self._port.baudrate
        try:
            self._port.flush()
            self._port.baudrate = baud
        except (OSError, ValueError) as error:
            if isinstance(error, ValueError):  # SerialException is an OSError
                self._port.baudrate = before
                raise UsageError(f"{self._url} has no {baud} baud: {error}", code="port_without_this_baud") from error
            raise self._closed(error) from error

    def close(self) -> None:
        """Give the port back."""
        _close(self._port)

    def _closed(self, error: Exception) -> LinkClosed:
        return LinkClosed(
            f"{self._url} has gone away: {error}", remedy="look for an unplugged cable or a board without power"
        )

    @staticmethod
    def _refuse_shared(url: str) -> None:
        # A terminal program that was there first would take our bytes. Both ends of a pseudo-terminal may well be open
        # in the program that made it.
        others = holders(url) if is_hardware(url) else ()
        if others:
            raise _busy(url, ", ".join(others))


def _opened(url: str, baud: int) -> SerialBase:
    import serial

    settings: dict[str, Any] = {"baudrate": baud, "timeout": _POLL_S, "exclusive": True}
    if not url.startswith("rfc2217:"):  # which has no write time-out
        settings["write_timeout"] = _WRITE_TIMEOUT_S
    port = None
    try:
        port = serial.serial_for_url(url, do_not_open=True, **settings)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # pyserial 3.5 is older than Python's newer ways
            port.open()
    except (OSError, ValueError) as error:
        if port is not None:
            _close(port)
        raise _not_opened(url, error) from error
    return port


def _close(port: SerialBase) -> None:
    """Close a port, also one that is gone or could not be opened all the way."""
    connection = vars(port).get("_socket")  # pyserial forgets to close it when its other end is gone
    try:
        port.close()
    except OSError:
        pass
    if connection is not None:
        connection.close()


def _not_opened(url: str, error: Exception) -> HilError:
    """Who is at fault that a port could not be opened."""
    number, text = _errno_of(error), str(error)
    # Windows gives no number, but the name of the exception.
    if number in (errno.EACCES, errno.EPERM) or "PermissionError" in text:
        owner = owner_of(url)
        belongs = f": it belongs to {owner}" if owner else ""
        return found("port_permission", port=url, user=user_name(), owner=belongs, how=how_to_open(url))
    if number in (errno.EBUSY, errno.EAGAIN):
        return _busy(url, ", ".join(holders(url)) or "another program")
    if number in (errno.ENOENT, errno.ENODEV, errno.ENXIO) or "FileNotFoundError" in text:
        return found("port_absent", port=url, reason="")
    if number in (errno.ECONNREFUSED, errno.ETIMEDOUT, errno.EHOSTUNREACH) or "getaddrinfo" in text:
        return found("port_absent", port=url, reason=f": nothing answers there ({text})")
    if isinstance(error, ValueError) and number is None:
        return UsageError(f"{url} is no port that pyserial knows: {text}", remedy="name a device or a URL of pyserial")
    does = "it does not do as RFC 2217 says: " if url.startswith("rfc2217:") else ""
    return found("port_unusable", port=url, reason=does + text)


def _busy(url: str, by: str) -> HilError:
    return found("port_busy", port=url, by=by)


def _errno_of(error: BaseException | None) -> int | None:
    """The system's error number, which pyserial may have left in the exception that it caught."""
    while error is not None:
        if isinstance(error, OSError) and error.errno is not None:
            return error.errno
        error = error.__context__
    return None
