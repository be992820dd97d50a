"""What a measurement of the link found: one row a direction and rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.link_bench.tap import Passage

TO_DEVICE, TO_HOST = "to_device", "to_host"

_BITS_PER_BYTE = 10  # 8N1


@dataclass(frozen=True)
class Goodput:
    """One transfer.

    Attributes:
        direction: TO_DEVICE: a load, from its first WRITE to the acknowledged commit; TO_HOST: h and c of each step,
            from the first RUN to the last reply. Both by the host's clock.
        baud: bits per second of the line.
        payload_bytes: bytes of the image; of h and c.
        line_bytes: all bytes that went in this direction in that time: payload, frames, requests or replies, repeats.
        time_s: from the first byte that the host wrote to the last one that it read.
        requests: that the host sent.
    """

    direction: str
    baud: int
    payload_bytes: int
    line_bytes: int
    time_s: float
    requests: int

    @property
    def goodput(self) -> float:
        """Payload in relation to what the line carries in that time."""
        return self.payload_bytes * _BITS_PER_BYTE / (self.baud * self.time_s)

    @property
    def frame_share(self) -> float:
        """Of the bytes in this direction those that are no payload."""
        return 1 - self.payload_bytes / self.line_bytes

    @property
    def idle_share(self) -> float:
        """Of the time that in which the line carried nothing in this direction; 0 where it is no line of that rate."""
        return max(1 - self.line_bytes * _BITS_PER_BYTE / (self.baud * self.time_s), 0.0)

    @property
    def limit(self) -> str:
        """What takes most of what is missing."""
        lost_to_frames = self.frame_share * (1 - self.idle_share)
        if self.idle_share > lost_to_frames:
            return f"waiting: line idle {self.idle_share:.1%}"
        return f"framing: {self.frame_share:.1%} of the bytes"

    def to_json(self) -> dict[str, Any]:
        """Fields and shares."""
        return {
            **vars(self),
            "goodput": round(self.goodput, 5),
            "frame_share": round(self.frame_share, 5),
            "idle_share": round(self.idle_share, 5),
            "limit": self.limit,
        }


def goodput_of(passages: Sequence[Passage], direction: str, first_type: int, baud: int, payload_bytes: int) -> Goodput:
    """The transfer that begins with the first frame of a type and ends with the last byte that was read.

    Args:
        passages: what went over the line.
        direction: TO_DEVICE or TO_HOST.
        first_type: of the host's first frame that belongs to it.
        baud: of the line.
        payload_bytes: that it carried.

    Raises:
        ValueError: there is no such frame.
    """
    first = next(
        (index for index, each in enumerate(passages) if each.is_to_device and first_type in each.frame_types), None
    )
    if first is None:
        raise ValueError(f"no frame of type {first_type} was sent")
    of_transfer = passages[first:]
    end_s = max(each.at_s for each in of_transfer if not each.is_to_device)
    return Goodput(
        direction=direction,
        baud=baud,
        payload_bytes=payload_bytes,
        line_bytes=sum(each.size_bytes for each in of_transfer if each.is_to_device == (direction == TO_DEVICE)),
        time_s=end_s - of_transfer[0].at_s,
        requests=sum(len(each.frame_types) for each in of_transfer if each.is_to_device),
    )
