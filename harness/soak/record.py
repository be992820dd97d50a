"""What came of a soak: counts, and the exchanges that ended as none may."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from harness.errors import ExitCode, HilError
from harness.transport.fault_rates import FaultRates

RIGHT, WRONG_NUMBERS, HANG = "right", "wrong_numbers", "hang"
"""How an exchange can end, besides with an error's code."""

SCHEMA = "lstm-hil/soak/1"
"""Name and version of its record."""

_KEPT_FAILURES = 20
"""Of many, the first ones tell enough."""


@dataclass(frozen=True)
class SoakFailure:
    """An exchange that ended as none may.

    Attributes:
        exchange: its number.
        kind: "wrong_numbers" or "hang".
        detail: what was seen.
    """

    exchange: int
    kind: str
    detail: str


@dataclass
class SoakRecord:
    """What came of a soak.

    Attributes:
        rates: faults that were asked for.
        seed: of everything random.
        first: number of the first exchange.
        exchanges: how many were done; the next four add up to it.
        right: with every bit as it should be.
        typed_errors: ended by an error, by its code.
        wrong_numbers: with at least one other bit.
        hangs: not ended in time, or after which the device did not answer on a line without faults.
        injected: faults, by the names of `FaultRates`.
        repeats: requests that were sent again.
        recoveries: loads that went on by themselves after a restart of the device.
        bad_frames: pieces that the host received and that are no frames.
        failures: the first of the wrong ones and the hangs.
        duration_s: of all exchanges, with what it took to bring the device back.
        error: what ended the soak early.
    """

    rates: FaultRates
    seed: int
    first: int = 0
    exchanges: int = 0
    right: int = 0
    typed_errors: Counter[str] = field(default_factory=Counter)
    wrong_numbers: int = 0
    hangs: int = 0
    injected: Counter[str] = field(default_factory=Counter)
    repeats: int = 0
    recoveries: int = 0
    bad_frames: int = 0
    failures: list[SoakFailure] = field(default_factory=list)
    duration_s: float = 0.0
    error: HilError | None = None

    @property
    def exit_code(self) -> ExitCode:
        """1 after wrong numbers, 5 after hangs, that of the error that ended it, or 0."""
        if self.wrong_numbers:
            return ExitCode.OUT_OF_TOLERANCE
        if self.hangs:
            return ExitCode.LINK
        return ExitCode.PASS if self.error is None else self.error.exit_code

    def count(self, exchange: int, outcome: str, detail: str) -> None:
        """Add an exchange.

        Args:
            exchange: its number.
            outcome: RIGHT, WRONG_NUMBERS, HANG or an error's code.
            detail: what was seen.
        """
        self.exchanges += 1
        self.right += outcome == RIGHT
        self.wrong_numbers += outcome == WRONG_NUMBERS
        self.hangs += outcome == HANG
        if outcome not in (RIGHT, WRONG_NUMBERS, HANG):
            self.typed_errors[outcome] += 1
        elif outcome != RIGHT and len(self.failures) < _KEPT_FAILURES:
            self.failures.append(SoakFailure(exchange, outcome, detail))

    def to_json(self) -> dict[str, Any]:
        """The record's fields."""
        error = self.error
        return {
            "exit_code": int(self.exit_code),
            "error": None
            if error is None
            else {"code": error.code, "message": error.message, "remedy": error.remedy or None},
            "exchanges": self.exchanges,
            "right": self.right,
            "typed_errors": dict(sorted(self.typed_errors.items())),
            "wrong_numbers": self.wrong_numbers,
            "hangs": self.hangs,
            "seed": self.seed,
            "first": self.first,
            "faults": str(self.rates),
            "injected": dict(sorted(self.injected.items())),
            "repeats": self.repeats,
            "recoveries": self.recoveries,
            "bad_frames": self.bad_frames,
            "failures": [vars(failure) for failure in self.failures],
            "duration_s": round(self.duration_s, 3),
        }
