"""Two devices' tensors, bit by bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.compare.verdict import GatesOf, element_text, gate_and_unit, no_gates

Float32Array = NDArray[np.float32]


@dataclass(frozen=True)
class BitDifference:
    """The first element whose bits differ.

    Attributes:
        tensor: its name.
        call: index of the call; None without calls.
        sequence: index of the sequence.
        step: index of the time step; None of a tensor without steps.
        gate: of a tensor with gates whose it is; None of any other.
        unit: index of the unit.
        got: bits that the device gave.
        host: bits that the host gave.
    """

    tensor: str
    call: int | None
    sequence: int
    step: int | None
    gate: str | None
    unit: int
    got: int
    host: int

    def __str__(self) -> str:
        """`lstm.h seq 0 step 3 unit 2: 0x3F000001 on the device, 0x3F000000 on the host`."""
        place = element_text(self.call, self.sequence, self.step, self.gate, self.unit)
        return f"{self.tensor} {place}: 0x{self.got:08X} on the device, 0x{self.host:08X} on the host"

    def to_json(self) -> dict[str, Any]:
        """What is in the record of it; `gate` is only where there are gates."""
        known = {name: value for name, value in vars(self).items() if name != "gate" or value is not None}
        return {**known, "got": f"0x{self.got:08X}", "host": f"0x{self.host:08X}"}


@dataclass(frozen=True)
class BitComparison:
    """How two sets of tensors compare.

    Attributes:
        elements: how many there are.
        different: how many differ in any bit.
        first: the first of them: by call, by sequence, by step, then in the tensors' order.
    """

    elements: int
    different: int
    first: BitDifference | None

    def to_json(self) -> dict[str, Any]:
        """The field `bit_exact` of the record."""
        first = self.first
        return {
            "elements": self.elements,
            "different": self.different,
            "first": None if first is None else first.to_json(),
        }


def compare_bits(
    got: Mapping[str, Float32Array],
    host: Mapping[str, Float32Array],
    *,
    has_calls: bool = False,
    gates_of: GatesOf = no_gates,
) -> BitComparison:
    """Compare float32 tensors of the same names and shapes: (B, units) or (B, T, units), behind N with calls."""
    firsts: list[tuple[tuple[int, int, float, int], BitDifference]] = []
    elements = different = 0
    for order, (name, values) in enumerate(got.items()):
        a, b = (np.ascontiguousarray(array, np.float32).view(np.uint32) for array in (values, host[name]))
        places = np.argwhere(a != b)
        elements += a.size
        different += len(places)
        if len(places) == 0:
            continue
        place = tuple(int(index) for index in places[0])
        call, (sequence, *step, last) = (place[0], place[1:]) if has_calls else (None, place)
        # What has no step comes behind all that have one.
        key = (call or 0, sequence, step[0] if step else math.inf, order)
        gate, unit = gate_and_unit(last, a.shape[-1], gates_of(name))
        found = BitDifference(name, call, sequence, step[0] if step else None, gate, unit, int(a[place]), int(b[place]))
        firsts.append((key, found))
    return BitComparison(elements, different, min(firsts, key=lambda item: item[0])[1] if firsts else None)
