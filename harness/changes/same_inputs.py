"""Whether two sides can be given the same inputs, and how."""

from __future__ import annotations

from typing import Any

from harness.changes.side import Side
from harness.errors import UsageError
from harness.model.inputs import state_inputs
from harness.model.spec import ModelSpec

_AGAIN = "run both on the same inputs: --inputs, or --batch, --steps and --seed"


def refuse_other_shapes(first: str, before: ModelSpec, other: str, after: ModelSpec) -> None:
    """Refuse two models that no inputs fit both.

    Args:
        first: path of the first model.
        before: that model.
        other: path of the other one.
        after: that one.

    Raises:
        UsageError: they take other inputs, or inputs of other shapes.
    """
    axes, others = _axes(before), _axes(after)
    if axes.keys() == others.keys() and all(_may_be_one(axes[name], others[name]) for name in axes):
        return
    raise UsageError(
        f"{first} takes {_listed(axes)}, {other} takes {_listed(others)}: no inputs fit both",
        code="other_shapes",
        remedy=f"compare models that take the same inputs; `hil validate {first} {other}` runs each on its own",
    )


def other_inputs(first: Side, side: Side) -> UsageError:
    """The error of two runs that were given different inputs: which, and what both can be given."""
    before, after = (each.fact("inputs", "shape") for each in (first, side))
    told = f"{first.name} and {side.name} were given different inputs"
    if not (isinstance(before, list) and isinstance(after, list)) or before == after:
        return UsageError(told, code="other_inputs", remedy=_remedy(first, side))
    told += f": {first.name} x {_one(before)}, {side.name} x {_one(after)}"
    if before[-1:] != after[-1:]:
        return UsageError(told, code="other_shapes", remedy="compare runs of models that take the same inputs")
    return UsageError(told, code="other_inputs", remedy=_remedy(first, side))


def _remedy(first: Side, side: Side) -> str:
    if golden := next((each.name for each in (first, side) if each.name.endswith(".golden")), None):
        return f"{golden} has inputs of its own: compare the models that golden files were made of"
    options: dict[str, Any] = {}
    for each in (first, side):
        if each.spec is None and each.fact("inputs", "seed") is None:
            return f"{_AGAIN}; those of {each.name} are not random: give the file that it was given"
        for name, value in _demanded(each).items():
            if options.setdefault(name, value) != value:
                return _AGAIN
    given = " ".join(f"--{name} {value}" for name, value in options.items() if value is not None)
    return f"give both the same: {given}" if given else _AGAIN


def _demanded(side: Side) -> dict[str, Any]:
    """What the inputs of the others must be made from: of a model what it fixes, of a run what it had."""
    if side.spec is not None:
        fixed = {"batch": side.spec.batch, "steps": side.spec.steps}
        return {name: value for name, value in fixed.items() if value is not None}
    shape = side.fact("inputs", "shape")
    known = isinstance(shape, list) and len(shape) > 1
    return {**({"batch": shape[-3], "steps": shape[-2]} if known else {}), "seed": side.fact("inputs", "seed")}


def _axes(spec: ModelSpec) -> dict[str, tuple[int | None, ...]]:
    """The shapes of a model's inputs; None: any size. The sequence is `x`, whatever its model calls it."""
    axes: dict[str, tuple[int | None, ...]] = {"x": (spec.batch, spec.steps, spec.input_size)}
    for each in spec.beside:
        axes[each.name] = (spec.batch, each.steps, each.size) if each.is_sequence else (spec.batch, each.size)
    if spec.mask_input is not None:
        axes["mask"] = (spec.batch, spec.steps)
    for units, states in state_inputs(spec).values():
        axes.update(dict.fromkeys(states, (spec.batch, units)))
    return axes


def _may_be_one(axes: tuple[int | None, ...], others: tuple[int | None, ...]) -> bool:
    return len(axes) == len(others) and all(
        None in pair or pair[0] == pair[1] for pair in zip(axes, others, strict=True)
    )


def _listed(axes: dict[str, tuple[int | None, ...]]) -> str:
    """`x (any, any, 3)`."""
    return ", ".join(f"{name} {_one(sizes)}" for name, sizes in axes.items())


def _one(sizes: Any) -> str:
    return f"({', '.join('any' if size is None else str(size) for size in sizes)})"
