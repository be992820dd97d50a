"""What all targets have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

from harness.errors import HilError
from harness.transport.base import Transport


class Target(Protocol):
    """A way to run the firmware."""

    @property
    def kind(self) -> str:
        """native, qemu, renode or board."""

    def unavailable(self) -> HilError | None:
        """Why it cannot be started here, with what to do; None if it can."""

    def reserve(self, wait_s: float | None = None) -> None:
        """Keep everybody else away from it until `release`. May be called twice.

        Args:
            wait_s: how long to wait for it; None: as long as it was made for.

        Raises:
            TargetBusy: somebody else uses it.
            HilError: it is not there.
        """

    def release(self) -> None:
        """Let others have it. May be called twice, and without `reserve`."""

    def start(self) -> Transport:
        """Bring it to life, reserved if it is not yet; the firmware may still be booting on return.

        Raises:
            TargetUnavailable: it could not be started.
            FlashError: the program could not be written to the board.
            LinkError, MismatchError: a board is there, and not the firmware on it.
        """

    def reopen(self) -> Transport | None:
        """The line again, after its other end was closed and the device may still be there.

        Returns:
            None where the end of the line is the end of the device.

        Raises:
            HilError: it did not come back.
        """

    def preload(self, data: bytes, address: int) -> bool:
        """Have bytes lie in flash at `address` at each start from now on.

        Returns:
            Whether it must be started anew: False where they lie there already or only the firmware can write them.
        """

    def stop(self) -> None:
        """End it; it stays reserved. May be called twice, and without `start`."""

    def description(self) -> dict[str, Any]:
        """What a report says of it beyond what the firmware says itself."""

    def notes(self) -> tuple[str, ...]:
        """What a person should know who reads its results."""

    def post_mortem(self) -> str | None:
        """If it died by itself: how, with the end of its log."""

    def log_path(self) -> Path | None:
        """Where messages of what runs the firmware are kept, if there are any."""


class LeftRunning:
    """What targets have in common that run by themselves: boards. Nothing of them begins or ends with us."""

    def stop(self) -> None:
        """Nothing to end: the board goes on, and the port is closed with the device."""

    def preload(self, data: bytes, address: int) -> bool:  # noqa: ARG002 - as the others have it
        """The firmware writes its flash store itself."""
        return False

    def post_mortem(self) -> str | None:
        """Nobody can tell from here."""
        return None

    def log_path(self) -> None:
        """A board keeps no log."""
