"""How large a frame should be, learned from what became of those before. Pure arithmetic.

On a clean line large frames are best: what goes with each of them costs least. Where bits go wrong a small one gets
through more often: of frames of 2 KB one in five survives a bit error in 10,000, of 128 bytes nearly nine in ten.
"""

from __future__ import annotations

from harness.protocol.wire import MAX_PAYLOAD_BYTES

LEAST_BYTES = 128
"""At a bit error in 1,000 a frame of this payload gets through in one of four tries. Smaller ones would be mostly
head."""

START_BYTES = 512
"""Two of three get through at a bit error in 10,000. On a clean line the largest size is reached after 6 KB."""

_CLEAN_FRAMES_AT_START = 4
_CLEAN_FRAMES_AFTER_LOSS = 32
"""Where one frame in eight is lost, 32 of them in a row get through once in a hundred times: sizes stay down there."""


class FrameSize:
    """What payloads may be now. Halved at each loss, doubled when enough has passed without one.

    Attributes:
        limit_bytes: largest payload of the next frames, LEAST_BYTES to MAX_PAYLOAD_BYTES. Whatever cannot be cut may be
            larger.
    """

    def __init__(self) -> None:
        self.limit_bytes = START_BYTES
        self._clean_bytes = 0
        self._clean_frames = _CLEAN_FRAMES_AT_START

    def lost(self) -> None:
        """A frame was damaged or did not come."""
        self.limit_bytes = max(LEAST_BYTES, self.limit_bytes // 2)
        self._clean_bytes = 0
        self._clean_frames = _CLEAN_FRAMES_AFTER_LOSS

    def passed(self, size_bytes: int) -> None:
        """A request and its reply came through, `size_bytes` of both together."""
        self._clean_bytes += size_bytes  # not frames: small ones say nothing about large ones
        if self._clean_bytes >= self._clean_frames * self.limit_bytes:
            self.limit_bytes = min(MAX_PAYLOAD_BYTES, self.limit_bytes * 2)
            self._clean_bytes = 0
