"""The table of what was compared, in a terminal as wide as it is."""

from __future__ import annotations

import math
import shutil
from collections.abc import Collection, Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.compare.verdict import TensorResult

_COLUMNS = {
    "tensor": "left", "shape": "left", "max abs": "right", "allowed there": "right", "max rel": "right",
    "max ULP": "right", "RMSE": "right", "worst at": "left", "": "left",
}  # fmt: skip

_DISPENSABLE = ("RMSE", "max rel", "shape", "max ULP")
"""What a narrow terminal is spared, the least telling first. The verdict is by none of them."""


def print_tensors(console: Console, results: Sequence[TensorResult]) -> None:
    """Print the table: all of it where nobody folds its lines, in a terminal what has room there."""
    left_out: list[str] = []
    table = tensor_table(results)
    if console.file.isatty():
        width = shutil.get_terminal_size().columns
        for title in _DISPENSABLE:
            if console.measure(table).maximum <= width:
                break
            left_out.append(title)
            table = tensor_table(results, left_out)
    console.print(table)
    if left_out:
        console.print(f"        no room for {', '.join(left_out)}: --json has them")


def tensor_table(results: Sequence[TensorResult], left_out: Collection[str] = ()) -> Table:
    """Errors per tensor, with where the worst is.

    Args:
        results: the tensors.
        left_out: titles of columns that are not wanted.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title, side in _COLUMNS.items():
        if title not in left_out:
            table.add_column(title, justify="right" if side == "right" else "left", no_wrap=True)
    for result in results:
        metrics = result.metrics
        cells = (
            escape(result.name),
            "x".join(str(size) for size in result.shape),
            f"{metrics.max_abs:.2e}",
            _allowed(result),
            f"{metrics.max_rel:.1e}",
            str(metrics.max_ulp),
            f"{metrics.rmse:.1e}",
            result.place,
            _mark(result),
        )
        table.add_row(*(cell for title, cell in zip(_COLUMNS, cells, strict=True) if title not in left_out))
    return table


def _mark(result: TensorResult) -> str:
    metrics = result.metrics
    nans = (
        f" ({metrics.nan_expected} NaN expected, {metrics.nan_got} got)"
        if metrics.nan_expected or metrics.nan_got
        else ""
    )
    if result.marginal:
        return f"[yellow]marginal[/]{nans}"
    return ("[green]ok[/]" if result.passed else f"[bold red]FAIL[/] {escape(result.problem)}") + nans


def _allowed(result: TensorResult) -> str:
    if result.tolerance is None or result.worst is None:
        return "-"
    expected = abs(result.worst.expected)
    magnitude = expected if math.isfinite(expected) else 0.0
    return f"{result.tolerance.atol + result.tolerance.rtol * magnitude:.2e}"
