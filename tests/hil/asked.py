"""What a host asks and is answered, each once: a busy machine has some of it repeated."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from unittest import mock

from harness.device import Call, Device


@dataclass
class Asked:
    """How many requests, and the bytes of the replies' payloads."""

    requests: int = 0
    reply_bytes: int = 0


@contextmanager
def asked_of(device: Device) -> Iterator[Asked]:
    """Counts what goes on within."""
    seen, exchange = Asked(), device.exchange

    def counted(take: Callable[[Any], None]) -> Callable[[Any], None]:
        def taken(reply: Any) -> None:
            seen.reply_bytes += len(reply.pack())
            take(reply)

        seen.requests += 1
        return taken

    def counting(calls: Iterable[Call], **options: bool) -> None:
        exchange(((request, counted(take)) for request, take in calls), **options)

    with mock.patch.object(device, "exchange", counting):
        yield seen
