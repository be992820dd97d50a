"""Which tensors of a run are fetched from the device and judged."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, unique
from typing import TypeVar

from harness.errors import UsageError

Value = TypeVar("Value")


@unique
class TraceLevel(IntEnum):
    """How much is traced. Each level has all of the level before it; the model's outputs are in every one."""

    NONE = 0
    LAST = 1
    H = 2
    HC = 3
    GATES = 4

    def includes(self, tensor: str) -> bool:
        """Whether a tensor, by its name in OUT.npz, is of this level."""
        return self >= _FIRST_LEVELS.get(tensor.rpartition(".")[2], TraceLevel.NONE)

    def of(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """What belongs to tensors of this level, by their names."""
        return {name: value for name, value in values.items() if self.includes(name)}


DEFAULT_LEVEL = TraceLevel.HC
"""Where neither a person nor a golden file says another."""

_FIRST_LEVELS = {
    "h_last": TraceLevel.LAST,
    "c_last": TraceLevel.LAST,
    "h": TraceLevel.H,
    "c": TraceLevel.HC,
    "z": TraceLevel.GATES,
    "gates": TraceLevel.GATES,
}
"""The lowest level that has `<layer>.<key>`. An output is `output` or `output.<number>`: it has no such ending."""


def trace_named(name: str) -> TraceLevel:
    """A level by the name that people call it by.

    Raises:
        UsageError: there is none of this name.
    """
    names = {level.name.lower(): level for level in TraceLevel}
    if name not in names:
        raise UsageError(f"there is no trace {name!r}", remedy=f"the levels are {', '.join(names)}")
    return names[name]
