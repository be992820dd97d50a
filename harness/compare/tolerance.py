"""How far a tensor may be from the expected one, with the reason. docs/ACCURACY.md derives the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from harness.compare.metrics import Array, Float64Array, absolute_errors
from harness.errors import OracleError, UsageError

DEFAULT_RTOL = 2e-6
"""17 times the float32 epsilon of 1.19e-7: relative rounding of values far from 1."""

LEAST_ATOL = 5e-7
"""Least absolute tolerance. Two correct float32 programs differ by the sum of their own errors, about 3e-7 for h."""

KERAS_FACTOR = 4
"""Keras' own distance from float64 is one sample of what float32 costs here; another order of sums gets another."""

GUARD_SHARE = 0.25
"""Most of what is allowed that the guard band takes. The default atol is KERAS_FACTOR times Keras' distance or more, so
that there the guard band is never cut; where a person gave less, a pass must still be possible."""

ILL_CONDITIONED = 1e-3
"""Keras farther from float64 than this: its float32 value says more about rounding than about the model."""


@dataclass(frozen=True)
class Tolerance:
    """abs(got - expected) <= atol + rtol abs(expected).

    Attributes:
        atol: absolute part, 0 or more.
        rtol: part relative to the expected value, 0 or more.
        reason: where the two come from.
        guard: absolute width of the guard band below what is allowed: the oracle's own distance from float64. An error
            in it passes, but the oracle's rounding alone may have decided that (JCGM 106:2012, 8.3).
    """

    atol: float
    rtol: float
    reason: str
    guard: float = 0.0

    def allowed(self, expected: Array) -> Float64Array:
        """The largest error that passes, for each element. Beside a NaN or an infinity any error is infinite anyway."""
        magnitude = np.abs(expected.astype(np.float64))
        return self.atol + self.rtol * np.where(np.isfinite(magnitude), magnitude, 0.0)

    def guarded(self, expected: Array) -> Float64Array:
        """The largest error that is clear of the guard band, for each element."""
        allowed = self.allowed(expected)
        return allowed - np.minimum(self.guard, GUARD_SHARE * allowed)

    def shares(self, expected: Array, got: Array) -> Float64Array:
        """The error of each element as a share of what is allowed there: 0 for none, infinity where none is allowed."""
        errors = absolute_errors(expected, got)
        with np.errstate(all="ignore"):
            return np.where(errors == 0, 0.0, errors / self.allowed(expected))


def distance_to_float64(expected: Mapping[str, Array], reference: Mapping[str, Array]) -> dict[str, float]:
    """Largest absolute distance of each of Keras' tensors from float64; infinity where only one is NaN or infinite."""
    return {name: float(absolute_errors(array, reference[name]).max()) for name, array in expected.items()}


def tolerances(
    distances: Mapping[str, float], atol: float | None = None, rtol: float | None = None
) -> dict[str, Tolerance]:
    """The tolerance of each tensor: derived, except for what the user gives.

    Args:
        distances: Keras' distance from float64 on these very inputs, by tensor name, from `distance_to_float64`.
        atol: the user's absolute tolerance for all tensors; None: derived for each, LEAST_ATOL where the user's rtol
            overrules that a distance is above ILL_CONDITIONED.
        rtol: the user's relative tolerance; None: DEFAULT_RTOL.

    Raises:
        OracleError: a distance is above ILL_CONDITIONED, and the user gave neither.
        UsageError: a value is negative, NaN or infinite.
    """
    check_given(atol, rtol)
    if atol is None and rtol is None:
        _refuse_ill_conditioned(distances)
    return {name: _tolerance(distance, atol, rtol) for name, distance in distances.items()}


def derived(distances: Mapping[str, float]) -> dict[str, Tolerance]:
    """The default tolerance of each tensor, also where Keras' distance is above ILL_CONDITIONED."""
    return {name: _tolerance(distance, None, None) for name, distance in distances.items()}


def refuse_below_oracle(
    tolerances: Mapping[str, Tolerance], expected: Mapping[str, Array], exact: Mapping[str, Array]
) -> None:
    """Refuse what a person gave if somewhere it is less than the oracle itself is off by: exact values would fail.

    No error at all may be asked for: that is equality with Keras, which says itself that it is no tolerance. Elements
    of which only one is NaN or infinite are left out: no tolerance is wide enough for them.

    Args:
        tolerances: that are in force, by tensor.
        expected: the oracle's tensors.
        exact: the float64 reference's, on these very inputs.

    Raises:
        UsageError: names the tensor where Keras is the most times farther off than allowed, and the distance.
    """
    distances = {name: _finite_errors(expected[name], exact[name]) for name in tolerances}
    below = []
    for name, tolerance in tolerances.items():
        errors, allowed = distances[name], tolerance.allowed(expected[name])
        with np.errstate(all="ignore"):
            shares = np.where(errors > allowed, errors / allowed, 0.0)
        if (tolerance.atol or tolerance.rtol) and shares.any():
            worst = shares.argmax()
            below.append((shares.flat[worst], name, allowed.flat[worst], errors.flat[worst]))
    if below:
        _, name, most, distance = max(below)
        enough = 2 * max(float(errors.max(initial=0.0)) for errors in distances.values())
        or_none = "" if enough > 2 * ILL_CONDITIONED else ", or none: it is then derived"
        raise UsageError(
            f"{most:.2g} is the most that the given tolerance allows at an element of '{name}', and there Keras' own "
            f"value is {distance:.2g} from float64 on these inputs: a device that computed exactly would fail.",
            code="tolerance_below_oracle",
            remedy=f"Give an --atol of at least {enough:.2g}{or_none}.",
        )


def _finite_errors(expected: Array, exact: Array) -> Float64Array:
    """How far each element is from float64; 0 where that is infinitely far, and where both are 0 in float32."""
    with np.errstate(all="ignore"):
        is_zero = (expected == 0) & (exact.astype(np.float32) == 0)
    errors = absolute_errors(expected, exact)
    return np.where(np.isfinite(errors) & ~is_zero, errors, 0.0)


def replaced(
    settled: Mapping[str, Tolerance], atol: float | None = None, rtol: float | None = None
) -> dict[str, Tolerance]:
    """Tolerances that were settled before, except for what the user gives. Errors: see `check_given`."""
    check_given(atol, rtol)
    given = {key: value for key, value in (("atol", atol), ("rtol", rtol)) if value is not None}
    said = "".join(f"; {key} was given" for key in given)
    return {
        name: guarding(replace(each, **given, reason=f"{each.reason}{said}"), each.guard)
        for name, each in settled.items()
    }


def check_given(atol: float | None, rtol: float | None) -> None:
    """Refuse what no tolerance can be; None is one that was not given.

    Raises:
        UsageError: a value is negative, NaN or infinite.
    """
    for option, value in (("--atol", atol), ("--rtol", rtol)):
        if value is not None and not 0 <= value < np.inf:
            raise UsageError(
                f"{option} is {value}.", code="tolerance_range", remedy=f"Give {option} a number of 0 or more."
            )


def _refuse_ill_conditioned(distances: Mapping[str, float]) -> None:
    too_far = [name for name, distance in distances.items() if not distance <= ILL_CONDITIONED]
    if too_far:
        worst = max(too_far, key=distances.__getitem__)
        raise OracleError(
            f"Keras float32 and the float64 reference differ by {distances[worst]:.3g} in '{worst}'; "
            f"beyond {ILL_CONDITIONED:g} float32 does not determine the result of this model on these inputs.",
            code="ill_conditioned",
            remedy="Look at the range of inputs and weights, or say with --atol and --rtol what you accept.",
        )


def _tolerance(distance: float, atol: float | None, rtol: float | None) -> Tolerance:
    ill_conditioned = not distance <= ILL_CONDITIONED
    derived = LEAST_ATOL if ill_conditioned else max(LEAST_ATOL, KERAS_FACTOR * distance)
    if atol is not None:
        reason = "atol was given"
    elif ill_conditioned:
        reason = f"atol is the least one, {LEAST_ATOL:g}: Keras' own distance of {distance:.3g} from float64 gives none"
    elif derived > LEAST_ATOL:
        reason = f"atol is {KERAS_FACTOR} times Keras' own distance of {distance:.3g} from float64 on these inputs"
    else:
        reason = (
            f"atol is the least one, {LEAST_ATOL:g}: {KERAS_FACTOR} times Keras' own distance of {distance:.3g} "
            "from float64 on these inputs is less"
        )
    reason += f"; rtol is the default {DEFAULT_RTOL:g}" if rtol is None else "; rtol was given"
    atol, rtol = derived if atol is None else atol, DEFAULT_RTOL if rtol is None else rtol
    return guarding(Tolerance(atol, rtol, reason), distance)


def guarding(tolerance: Tolerance, distance: float) -> Tolerance:
    """The same with its guard band. Who allows no error at all wants equality, and there is nothing to guard.

    Args:
        tolerance: without one, or with another.
        distance: of the oracle from float64.
    """
    return replace(tolerance, guard=distance if tolerance.atol or tolerance.rtol else 0.0)
