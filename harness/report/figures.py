"""The pictures of a report, each from its numbers. Matplotlib is imported where something is drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.compare.classes import Row
from harness.report.curves import Saturation, Steps, Trajectory
from harness.report.svg import BAD, FAINT, FIRST, SECOND, THIRD, drawn

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

_LEVELS = 32
"""Colours of a heat map: as many as can be told apart, and few enough to be packed well."""

_MOST_COUNTS_SHOWN = 12
"""Classes up to which a confusion matrix has its numbers in it: more do not fit."""

_DECADES_SHOWN = 6
"""Below the largest error of a heat map: what is smaller looks like no error."""


@dataclass(frozen=True)
class Picture:
    """A picture for the page.

    Attributes:
        key: for its address in the page.
        title: what it shows.
        text: how to read it.
        svg: inline SVG.
    """

    key: str
    title: str
    text: str
    svg: str


def error_by_step(key: str, layer: str, tensors: Sequence[Steps]) -> Picture:
    """The largest and the mean error at each step.

    Args:
        key: see `Picture`.
        layer: what the tensors are of.
        tensors: one or two.
    """

    def draw(axes: Sequence[Axes]) -> None:
        for place, (each, plot) in enumerate(zip(tensors, axes, strict=True)):
            steps = np.arange(len(each.largest))
            style: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(steps) <= _MARKED_STEPS else {}
            _line(plot, steps, each.largest, color=FIRST, label="largest", **style)
            _line(plot, steps, each.rms, color=THIRD, label="root mean square", linewidth=1)
            plot.axhline(each.atol, color=BAD, linestyle=(0, (4, 3)), linewidth=1, label="atol")
            _logarithmic(plot)
            plot.set_ylabel(f"|error| of {_short(each.tensor)}")
            _whole_numbers(plot)
            if place == 0:
                _legend(plot, 2)
        axes[-1].set_xlabel("time step")

    text = (
        "Over all sequences and units. atol is the absolute part of the tolerance; "
        "what is allowed is rtol times the expected value more."
    )
    return Picture(key, f"Error by time step: {layer}", text, drawn(key, draw, len(tensors), 1.75))


def steps_alone(key: str, bisect: Mapping[str, Any]) -> Picture:
    """The errors of a run, and of each step on its own from the oracle's h and c.

    Args:
        key: see `Picture`.
        bisect: of the record, with at least one step.
    """
    first, steps = bisect["first"], [each["step"] for each in bisect["steps"]]
    is_wrong = bisect["cause"] != "none"
    running, alone = (
        np.array([np.nan if each[name] is None else float(each[name]) for each in bisect["steps"]])
        for name in ("free_running", "teacher_forced")
    )

    def draw(axes: Sequence[Axes]) -> None:
        (plot,) = axes
        style: dict[str, Any] = {"marker": "o", "markersize": 2.5} if len(steps) <= _MARKED_STEPS else {}
        _line(plot, np.array(steps), running, color=FIRST, label="in the run", **style)
        _line(plot, np.array(steps), alone, color=SECOND, label="each step on its own", **style)
        if first["step"] is not None:
            label, color = ("first wrong step", BAD) if is_wrong else ("worst step", THIRD)
            plot.axvline(first["step"], color=color, linestyle=(0, (4, 3)), linewidth=1, label=label)
        _logarithmic(plot)
        _whole_numbers(plot)
        plot.set_ylabel("largest |error| of h and c")
        plot.set_xlabel("time step")
        _legend(plot, 3)

    call = "" if first["call"] is None else f" of call {first['call']}"
    whose = f"Sequence {first['sequence']}{call}{'' if is_wrong else ', in which a value is nearest to its tolerance'}."
    text = (
        f"{whose} On its own a step starts from Keras' h and c: an error that it has then too is "
        "made in it; what lies between the curves has piled up."
    )
    if not (np.nan_to_num(running, nan=0.0).any() or np.nan_to_num(alone, nan=0.0).any()):
        text += " Here there is no error at all: both curves are at zero, which is not on the axis."
    return Picture(key, f"Steps on their own: {first['layer']}", text, drawn(key, draw, 1, 2.2))


_MARKED_STEPS = 32
"""Steps up to which each one gets a mark: one step alone would make no line at all."""


def heat_map(key: str, layer: str, tensors: Sequence[Steps]) -> Picture:
    """The largest error over steps and units."""
    cells = np.concatenate([each.by_unit.ravel() for each in tensors])
    cells = cells[np.isfinite(cells) & (cells > 0)]
    most = float(cells.max(initial=0)) or 1.0
    least = max(most / 10**_DECADES_SHOWN, 10 ** np.floor(np.log10(float(cells.min(initial=most)))))

    def draw(axes: Sequence[Axes]) -> None:
        import matplotlib
        from matplotlib.colors import LogNorm

        colors = matplotlib.colormaps["viridis"].resampled(_LEVELS)
        colors.set_over(_BAD_IN_MAP)
        norm = LogNorm(min(least, most / 10), most, clip=False)
        for each, plot in zip(tensors, axes, strict=True):
            units, steps = each.shape
            floor = norm.vmin or 0.0
            image = plot.imshow(
                np.where(np.isfinite(each.by_unit), np.maximum(each.by_unit, floor), 10 * most),
                cmap=colors,
                norm=norm,
                aspect="auto",
                interpolation="none",
                origin="lower",
                extent=(-0.5, steps - 0.5, -0.5, units - 0.5),
            )
            plot.set_ylabel(f"unit of {_short(each.tensor)}")
            _whole_numbers(plot)
            _whole_numbers(plot, "y")
            bar = plot.figure.colorbar(image, ax=plot, pad=0.02, aspect=12)
            bar.outline.set_visible(False)
            plot.grid(visible=False)
            _powers_of_ten(bar.ax.yaxis)
        axes[-1].set_xlabel("time step")

    text = "The largest of all sequences. Yellow is large, dark blue is next to none; the scale is logarithmic."
    if any(np.isinf(each.by_unit).any() for each in tensors):
        text += " Red: a NaN or an infinity that only one side has."
    if any(each.by_unit.shape != each.shape for each in tensors):
        text += " Neighbours share a cell, which shows the largest of them."
    return Picture(key, f"|Error| over steps and units: {layer}", text, drawn(key, draw, len(tensors), 1.75))


_BAD_IN_MAP = "#d4351c"


def expected_and_got(key: str, layer: str, units: Sequence[Trajectory]) -> Picture:
    """The expected and the device's values of the unit with the largest error."""

    def draw(axes: Sequence[Axes]) -> None:
        for place, (each, plot) in enumerate(zip(units, axes, strict=True)):
            steps = np.arange(len(each.expected))
            few = len(steps) <= _MARKED_STEPS
            mine: dict[str, Any] = {"marker": "o", "markersize": 7} if few else {"linewidth": 3}
            other: dict[str, Any] = (
                {"marker": "o", "markersize": 3.2, "linestyle": "none"} if few else {"linewidth": 0.9}
            )
            plot.plot(steps, _plain(each.expected), color=FIRST, label="expected", **mine)
            plot.plot(steps, _plain(each.got), color=SECOND, label="device", **other)
            plot.set_ylabel(_short(each.tensor))
            _whole_numbers(plot)
            if place == 0:
                _legend(plot, 2)
        axes[-1].set_xlabel("time step")

    where = "; ".join(f"{_short(each.tensor)}: sequence {each.sequence}, unit {each.unit}" for each in units)
    text = f"The unit with the largest error. {where}. A gap is a NaN or an infinity."
    return Picture(key, f"Expected and got: {layer}", text, drawn(key, draw, len(units), 1.6))


def ulps(key: str, histograms: dict[str, Any]) -> Picture:
    """How many values are how many ULP off, by tensor."""

    def draw(axes: Sequence[Axes]) -> None:
        (plot,) = axes
        last = max(int(np.flatnonzero(counts).max(initial=0)) for counts in histograms.values())
        colors = (FIRST, SECOND, THIRD)
        styles = ("-", (0, (4, 2)), (0, (1, 1.2)))
        for place, (name, counts) in enumerate(histograms.items()):
            shares = counts[: last + 1] / counts.sum() * 100
            plot.plot(
                np.arange(last + 1), shares, color=colors[place % 3], linestyle=styles[place // 3 % 3],
                marker="o", markersize=3, label=name,
            )  # fmt: skip
        bins = range(last + 1)
        shown = [each for each in bins if last <= _MOST_TICKS or each % -(-(last + 1) // _MOST_TICKS) == 0]
        plot.set_xticks(shown, [_ulp_bin(each) for each in shown])
        plot.set_ylim(bottom=0)
        plot.set_xlabel("ULP between expected and got, at least")
        plot.set_ylabel("% of the values")
        _legend(plot, 3)

    text = "A ULP is the distance to the next float32. Next to zero it is tiny: many ULP there are a small error."
    return Picture(key, "Distance in ULP", text, drawn(key, draw, 1, 2.4))


_MOST_TICKS = 8


def saturated(key: str, layers: Sequence[Saturation], *, traced: bool) -> Picture:
    """How much of each gate is at an end of its activation."""

    def draw(axes: Sequence[Axes]) -> None:
        for layer, plot in zip(layers, axes, strict=True):
            gates = list(layer.low)[::-1]  # the first one at the top
            for row, gate in enumerate(gates):
                low, high = layer.low[gate], layer.high[gate]
                plot.barh(row, 100, color=FAINT, height=0.62)
                plot.barh(
                    row, 100 * (low or 0), color=FIRST, height=0.62, label="at the lower end" if row == 0 else None
                )
                plot.barh(
                    row,
                    100 * (high or 0),
                    left=100 - 100 * (high or 0),
                    color=SECOND,
                    height=0.62,
                    label="at the upper end" if row == 0 else None,
                )
                known = [f"{100 * share:.3g} %" if share is not None else "-" for share in (low, high)]
                plot.text(
                    103, row, " | ".join(known) if low is not None or high is not None else "has no ends", va="center"
                )
            plot.set_yticks(range(len(gates)), gates)
            plot.set_xlim(0, 100)
            plot.grid(visible=False)
            plot.tick_params(left=False)
            plot.set_ylabel(layer.layer)
        _legend(axes[0], 2)
        axes[-1].set_xlabel("% of all values of the gate")

    whose = "As traced on the device." if traced else "Of the float64 reference; --trace gates shows the device's own."
    text = f"Values within 1 % of an end of the gate's activation, where its slope is next to nothing. {whose}"
    return Picture(key, "Saturated gates", text, drawn(key, draw, len(layers), 1.25, right=0.8))


def confusion(key: str, output: str, row: Row) -> Picture:
    """How often the device says which class for which."""
    assert row.counts is not None
    counts = np.array(row.counts)
    size = len(counts)
    by, of = ("device", "truth") if row.name == "device_vs_truth" else ("device", "Keras")

    def draw(axes: Sequence[Axes]) -> None:
        (plot,) = axes
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        right = np.eye(size, dtype=bool)
        for mask, color in ((right, FIRST), (~right, BAD)):
            for i, j in np.argwhere(mask & (counts > 0)):
                plot.add_patch(_cell(i, j, color, 0.15 + 0.6 * float(shares[i, j])))
        if size <= _MOST_COUNTS_SHOWN:
            for i, j in np.argwhere(counts > 0):
                plot.text(j, i, str(counts[i, j]), ha="center", va="center", fontsize=8)
        plot.set_xlim(-0.5, size - 0.5)
        plot.set_ylim(size - 0.5, -0.5)
        plot.set_aspect("equal")
        if size <= _MOST_COUNTS_SHOWN:
            plot.set_xticks(range(size))
            plot.set_yticks(range(size))
        else:
            _whole_numbers(plot)
            _whole_numbers(plot, "y")
        plot.grid(visible=False)
        plot.set_xlabel(f"class by {by}")
        plot.set_ylabel(f"class by {of}")

    text = f"How often the device gives a class (across) where {of} has a class (down). Off the diagonal they differ."
    return Picture(key, f"Confusion matrix: {output}", text, drawn(key, draw, 1, 3.6))


def _cell(i: int, j: int, color: str, alpha: float) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((j - 0.48, i - 0.48), 0.96, 0.96, facecolor=color, alpha=alpha, linewidth=0)


def _ulp_bin(place: int) -> str:
    """The least distance of a bin: 0, 1, 2, 4, ... 512, then 2^10."""
    return "0" if place == 0 else str(2 ** (place - 1)) if place <= _POWER_OF_TEN_BINS else f"2^{place - 1}"


_POWER_OF_TEN_BINS = 10


def _short(tensor: str) -> str:
    """Of `lstm.h` the h: the layer is in the title."""
    return tensor.rpartition(".")[2]


def _plain(values: Any) -> Any:
    """Without infinities, which no axis holds."""
    return np.where(np.isfinite(values), values, np.nan)


def _line(plot: Axes, steps: Any, errors: Any, **style: Any) -> None:
    """A line on a logarithmic axis, with gaps where there is no error, and crosses at the top where it is infinite."""
    shown = np.where(np.isfinite(errors) & (errors > 0), errors, np.nan)
    plot.plot(steps, shown, **style)
    infinite = np.isinf(errors)
    if infinite.any():
        top = np.nanmax(shown) * 10 if np.isfinite(shown).any() else 1.0
        plot.plot(steps[infinite], np.full(int(infinite.sum()), top), "x", color=BAD)


def _legend(plot: Axes, columns: int) -> None:
    """Above the plot, where it hides nothing."""
    plot.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=columns, frameon=False, borderaxespad=0.2)


def _logarithmic(plot: Axes) -> None:
    """The y axis, from one power of ten to another: there is a label at least at its ends."""
    plot.set_yscale("log")
    low, high = plot.get_ylim()
    if low <= 0:  # nothing is drawn
        low, high = _ABOUT_A_ULP
    plot.set_ylim(10.0 ** np.floor(np.log10(low)), 10.0 ** np.ceil(np.log10(high)))
    _powers_of_ten(plot.yaxis)


_ABOUT_A_ULP = (1e-8, 1e-6)
"""The axis where no error is: where one would be, since a ULP of 1 is 1.2e-7."""


def _powers_of_ten(axis: Axis) -> None:
    """Labels as 1e-6: the usual ones are set by a language for formulas, which a layer's name must not be taken for."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(numticks=_MOST_TICKS))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")))


def _whole_numbers(plot: Axes, axis: str = "x") -> None:
    from matplotlib.ticker import MaxNLocator

    (plot.xaxis if axis == "x" else plot.yaxis).set_major_locator(MaxNLocator(integer=True, nbins=6, min_n_ticks=1))
