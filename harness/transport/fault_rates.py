"""How often a line errs, and how a person says so."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

from harness.errors import UsageError


@dataclass(frozen=True)
class FaultRates:
    """Probabilities, each from 0 to 1.

    Attributes:
        bits: of each bit: it is inverted.
        drop: of each byte: it is lost.
        duplicate: of each byte: it comes twice.
        delay: of each byte: it and all behind it come late, by up to `LONGEST_DELAY_S` of `harness.transport.faulty`.
        burst: of each byte: a run of garbage begins there, in place of up to `LONGEST_BURST_BYTES`.
        truncate: of each write: its end is lost.
        disconnect: of each exchange: the line is gone at one of its bytes.
        reset: of each exchange: the device restarts at one of its bytes, unless the line is gone in that exchange.
    """

    bits: float = 0.0
    drop: float = 0.0
    duplicate: float = 0.0
    delay: float = 0.0
    burst: float = 0.0
    truncate: float = 0.0
    disconnect: float = 0.0
    reset: float = 0.0

    def __str__(self) -> str:
        """`bits=0.0001,reset=0.001`: what `parse_faults` reads. Rates of zero are left out."""
        rates = ((field.name, getattr(self, field.name)) for field in fields(self))
        return ",".join(f"{name}={rate:g}" for name, rate in rates if rate) or "none"


PRESETS = {
    "none": FaultRates(),
    # A long cable: one frame of 1 KB in ten is bad.
    "light": FaultRates(
        bits=1e-5, drop=2e-6, duplicate=2e-6, delay=2e-6, burst=2e-6, truncate=1e-4, disconnect=2e-4, reset=1e-3
    ),
    # Six frames of 1 KB in ten are bad: what a protocol that only gets by would not get through.
    "noisy": FaultRates(
        bits=1e-4, drop=1e-5, duplicate=1e-5, delay=1e-5, burst=1e-5, truncate=1e-3, disconnect=1e-3, reset=1e-2
    ),
    # Hardly a frame of 1 KB gets through: most of what comes back is errors.
    "broken": FaultRates(
        bits=5e-4, drop=2e-4, duplicate=2e-4, delay=2e-4, burst=2e-4, truncate=2e-2, disconnect=1e-2, reset=5e-2
    ),
}
"""Rates under a name."""


def parse_faults(text: str) -> FaultRates:
    """`noisy`, `bits=1e-4,drop=1e-5`, or a preset with changes: `noisy,reset=0`.

    Raises:
        UsageError: an unknown name, or no probability.
    """
    rates = FaultRates()
    known = [field.name for field in fields(FaultRates)]
    for place, part in enumerate(text.split(",")):
        name, has_value, value = (piece.strip() for piece in part.partition("="))
        if not has_value and place == 0 and name in PRESETS:
            rates = PRESETS[name]
        elif has_value and name in known:
            rates = replace(rates, **{name: _probability(name, value)})
        else:
            raise UsageError(
                f"--faults has {part.strip()!r}",
                remedy=f"give one of {', '.join(PRESETS)} first or not at all, then any of {', '.join(known)} "
                "as bits=1e-4, with commas between them",
            )
    return rates


def _probability(name: str, text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate <= 1:
        raise UsageError(f"--faults has {name}={text}", remedy=f"give {name} a probability, from 0 to 1")
    return rate
