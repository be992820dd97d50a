"""What a target says of itself, kept: for reports that are made where the target is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

from harness.targets.base import Target


class Described(Protocol):
    """What a report wants to know of a target: the target itself, or a snapshot of it."""

    @property
    def kind(self) -> str:
        """native, qemu, renode or board."""

    def description(self) -> dict[str, Any]:
        """What it says beyond what the firmware says itself."""

    def notes(self) -> tuple[str, ...]:
        """What a person should know who reads its results."""


@dataclass(frozen=True)
class Snapshot:
    """A target as it was at the end of a run. Can be pickled."""

    kind: str
    described: dict[str, Any]
    noted: tuple[str, ...]

    def description(self) -> dict[str, Any]:
        """As the target gave it."""
        return dict(self.described)

    def notes(self) -> tuple[str, ...]:
        """As the target gave them."""
        return self.noted


def snapshot_of(target: Target) -> Snapshot:
    """A target as it is now."""
    return Snapshot(target.kind, target.description(), target.notes())
