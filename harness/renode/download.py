"""A file from an address, whole or an error."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

from harness.errors import TargetUnavailable

SCHEMES = ("https", "http", "file")

_TIMEOUT_S = 30.0
"""Without a byte for so long; the whole may take as long as it takes."""

_CHUNK_BYTES = 1 << 16
_STEPS = 10
"""How often progress is told: every tenth of the size."""

Say = Callable[[str], None]


def download(url: str, path: Path, say: Say) -> None:
    """Write what is at an address to a file.

    Args:
        url: one of SCHEMES.
        path: the file.
        say: told size and progress.

    Raises:
        TargetUnavailable: it could not be had, or not all of it.
        OSError: the file could not be written.
    """
    try:
        response = urllib.request.urlopen(url, timeout=_TIMEOUT_S)
    except (OSError, http.client.HTTPException) as error:
        raise _failed(url, _reason(error)) from error
    with response, path.open("wb") as file:
        stated = response.headers.get("Content-Length")
        size_bytes = int(stated) if stated is not None and stated.isdigit() else None
        say(f"fetching {url} ({'size not stated' if size_bytes is None else _megabytes(size_bytes)})")
        received_bytes = _copy(url, response, file, size_bytes, say)
    if size_bytes is not None and received_bytes != size_bytes:
        raise _failed(url, f"it was cut after {received_bytes} of {size_bytes} bytes")


def _copy(url: str, response: IO[bytes], file: IO[bytes], size_bytes: int | None, say: Say) -> int:
    done_bytes = step = 0
    while True:
        try:
            chunk = response.read(_CHUNK_BYTES)
        except (OSError, http.client.HTTPException) as error:
            raise _failed(url, f"it was cut after {done_bytes} bytes: {_reason(error)}") from error
        if not chunk:
            return done_bytes
        file.write(chunk)
        done_bytes += len(chunk)
        if size_bytes and done_bytes * _STEPS // size_bytes > step:
            step = done_bytes * _STEPS // size_bytes
            say(f"  {_megabytes(done_bytes)} of {_megabytes(size_bytes)}")


def _reason(error: Exception) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code} {error.reason}"
    return str(error.reason if isinstance(error, urllib.error.URLError) else error) or type(error).__name__


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:.1f} MB"


def _failed(url: str, reason: str) -> TargetUnavailable:
    return TargetUnavailable(
        f"{url} could not be fetched: {reason}",
        code="download_failed",
        remedy="look at the network (https_proxy?) and run again, or fetch the package elsewhere and run "
        "`hil setup renode --from FILE --sha256 HEX`",
    )
