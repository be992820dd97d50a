"""How much of a device's memory an image takes, laid out as in loader.c (docs/PROTOCOL.md, "Work memory")."""

from __future__ import annotations

from dataclasses import dataclass

from harness.model.pack import ModelImage

_ALIGNMENT = 8


@dataclass(frozen=True)
class Memory:
    """What a firmware leaves for models.

    Attributes:
        arena_bytes: RAM for weights, state and buffers.
        store_bytes: flash for the weights of a model that the RAM does not hold; its state stays in RAM.
    """

    arena_bytes: int
    store_bytes: int

    def holds_in_ram(self, image: ModelImage) -> bool:
        """Weights, state and buffers fit the arena."""
        return aligned(len(image.data)) + aligned(image.work_bytes) <= self.arena_bytes

    def holds_in_flash(self, image: ModelImage) -> bool:
        """The weights fit the flash store, state and buffers the arena."""
        return len(image.data) <= self.store_bytes and aligned(image.work_bytes) <= self.arena_bytes

    def most_steps(self, image: ModelImage, *, in_flash: bool) -> int | None:
        """Steps of the longest run that fits with the weights in RAM or in flash, at least 0; None: of any length.

        Nothing but the sequences that a model keeps grows with the steps. Where those few bytes that do not grow are
        too many already the answer is 0.
        """
        room_bytes = self.arena_bytes - (0 if in_flash else aligned(len(image.data)))
        room_bytes -= room_bytes % _ALIGNMENT
        room_bytes -= image.work_bytes - image.max_steps * image.step_bytes
        if room_bytes < 0 or (in_flash and len(image.data) > self.store_bytes):
            return 0
        return room_bytes // image.step_bytes if image.step_bytes else None


def aligned(size_bytes: int) -> int:
    """Bytes that something of this size takes of the arena."""
    return -(-size_bytes // _ALIGNMENT) * _ALIGNMENT
