"""What all targets have in common."""

from __future__ import annotations

from typing import Protocol

from harness.transport.base import Transport


class Target(Protocol):
    """A way to run the firmware."""

    @property
    def kind(self) -> str:
        """Its name on the command line: native or qemu."""

    def unavailable_reason(self) -> str | None:
        """Why it cannot be started here, or None."""

    def start(self) -> Transport:
        """Bring it to life; the firmware may still be booting on return.

        Raises:
            TargetUnavailable: it could not be started.
        """

    def stop(self) -> None:
        """End it. May be called twice, and without `start`."""

    def description(self) -> dict[str, str]:
        """What a report says of it beyond what the firmware says itself."""

    def post_mortem(self) -> str | None:
        """If it died by itself: how, with the end of its log."""
