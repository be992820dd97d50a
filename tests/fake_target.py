"""What fakes of a target have in common: nobody else wants it, and nothing is known of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from harness.errors import HilError


class FakeTarget:
    """A target without `start`."""

    kind = "fake"

    def unavailable(self) -> HilError | None:
        return None

    def reserve(self, wait_s: float | None = None) -> None:
        pass

    def release(self) -> None:
        pass

    def reopen(self) -> None:
        return None

    def preload(self, data: bytes, address: int) -> bool:
        return False

    def stop(self) -> None:
        pass

    def description(self) -> dict[str, Any]:
        return {}

    def notes(self) -> tuple[str, ...]:
        return ()

    def post_mortem(self) -> str | None:
        return None

    def log_path(self) -> Path | None:
        return None
