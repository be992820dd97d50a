"""The tables of `hil compare`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from harness.changes.compare import Change, Ranked, ranking
from harness.changes.weights import WeightChange
from harness.compare.verdict import TensorResult

if TYPE_CHECKING:
    from rich.console import Console

    from harness.changes.side import Side

_RANKED = 3
"""So many and more have a ranking."""


def print_comparison(console: Console, first: Side, changes: Sequence[Change]) -> None:
    """Each change in detail, then one table of all, in their order or ranked."""
    for change in changes:
        console.print(f"compare {escape(change.side.name)} with {escape(first.name)}")
        if change.weights is not None:
            _print_weights(console, change.weights, change.only_one_has)
        if change.tensors:
            console.print(_tensor_table(change.tensors))
        for name, row in change.same_classes.items():
            console.print(f"classes {escape(name)}: the same in {row.right} of {row.samples}")
        for note in change.notes:
            console.print(f"note    {escape(note)}")
    is_ranked = len(changes) + 1 >= _RANKED
    all_sides = [Ranked(first, 0.0), *(Ranked(each.side, each.output_rmse) for each in changes)]
    in_order = ranking(first, changes) if is_ranked else all_sides
    console.print(_side_table(in_order, is_ranked=is_ranked))
    if "instructions" in (each.side.cost[1] for each in in_order if each.side.cost is not None):
        console.print("instructions: counted by QEMU, of all that the firmware does in a time step; no cycles")
    if is_ranked:
        console.print("rank: passed, accuracy, distance of the outputs from the first one, cost, memory")


def _print_weights(console: Console, weights: Sequence[WeightChange], only_one_has: Sequence[str]) -> None:
    table = _table(
        ("weights",), ("changed", "of", "max", "RMS", "zeros", "", "bits", "", "decimals", "", "distinct", "")
    )
    for each in weights:
        before, after = each.before, each.after
        table.add_row(
            escape(each.name),
            str(each.changed),
            str(each.elements),
            _number(each.max_abs, ".2e"),
            _number(each.rms, ".1e"),
            f"{before.zeros / max(1, _size(each.shape[0])):.1%}",
            f"{after.zeros / max(1, each.elements):.1%}",
            str(before.significant_bits),
            str(after.significant_bits),
            _number(before.decimals, "d"),
            _number(after.decimals, "d"),
            str(before.distinct),
            str(after.distinct),
        )
    console.print(table)
    total, zeros = sum(each.elements for each in weights), sum(each.after.zeros for each in weights)
    changed = sum(each.changed for each in weights)
    if total:
        was = sum(each.before.zeros for each in weights) / max(1, sum(_size(each.shape[0]) for each in weights))
        console.print(f"        {changed} of {total} weights are others; {zeros / total:.1%} are zero, were {was:.1%}")
    if only_one_has:
        console.print(f"        only one of them has {escape(', '.join(only_one_has))}")


def _tensor_table(tensors: Sequence[TensorResult]) -> Table:
    table = _table(("tensor", "shape"), ("max abs", "max rel", "max ULP", "RMSE", "differ", "first step"))
    table.add_column("most at", no_wrap=True)
    for each in tensors:
        shape = "x".join(map(str, each.shape))
        if each.problem:
            table.add_row(escape(each.name), shape, *["-"] * 6, escape(each.problem))
            continue
        metrics = each.metrics
        table.add_row(
            escape(each.name),
            shape,
            f"{metrics.max_abs:.2e}",
            f"{metrics.max_rel:.1e}",
            str(metrics.max_ulp),
            f"{metrics.rmse:.1e}",
            f"{each.beyond / max(1, _size(each.shape)):.1%}",
            _number(each.first_step_beyond, "d"),
            each.place if each.beyond else "-",
        )
    return table


def _side_table(ranked: Sequence[Ranked], *, is_ranked: bool) -> Table:
    numbers = ("accuracy", "of tolerance", "outputs off", "per step", "memory", "parameters")
    table = _table((*(["rank"] if is_ranked else []), "name", "verdict", "target", "kernel"), numbers)
    for place, each in enumerate(ranked, start=1):
        side, cost, memory, share = each.side, each.side.cost, each.side.memory_bytes, each.side.largest_share
        table.add_row(
            *([str(place)] if is_ranked else []),
            escape(side.name),
            _text(side.fact("verdict")),
            _text(side.fact("target", "kind")),
            _text(side.fact("kernel")),
            _number(side.accuracy, ".2%"),
            _number(share, ".0%"),
            _number(each.output_rmse, ".1e"),
            "-" if cost is None else f"{cost[0]:.0f} {cost[1]}",
            "-" if memory is None else f"{memory} bytes",
            _number(side.number("model", "parameters_total"), ".0f"),
        )
    return table


def _table(texts: Sequence[str], numbers: Sequence[str]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in texts:
        table.add_column(title, no_wrap=True)
    for title in numbers:
        table.add_column(title, justify="right", no_wrap=True)
    return table


def _size(shape: Sequence[int]) -> int:
    size = 1
    for each in shape:
        size *= each
    return size


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def _text(value: object) -> str:
    return "-" if value is None else escape(str(value))
