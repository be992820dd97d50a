"""A Matplotlib figure as inline SVG that takes its colours from the page around it.

Text stays text, so it can be searched and read aloud. Matplotlib is imported where something is drawn: it takes a
second.
"""

from __future__ import annotations

import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from harness.report.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_IN = 4.6
"""At this width 9 pt are legible on a phone, and three pictures stand side by side on a screen."""

INK, FAINT = "#010101", "#020202"
FIRST, SECOND, THIRD, BAD = "#040404", "#050505", "#060606", "#070707"
VARIABLES = {INK: "ink", FAINT: "grid", FIRST: "first", SECOND: "second", THIRD: "third", BAD: "bad"}
"""Colours that nothing else has, and the page's variables that take their place."""


@contextmanager
def _styled() -> Iterator[None]:
    """Our style and nobody else's: a matplotlibrc of the user's must not reach the page."""
    import matplotlib

    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # it tells of font caches
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of glyphs that its own font lacks: the browser has others
        matplotlib.rcdefaults()
        matplotlib.rcParams.update({
            "svg.fonttype": "none", "svg.hashsalt": "hil", "text.parse_math": False, "font.size": 9,
            "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT, "axes.facecolor": "none",
            "axes.grid": True, "grid.color": FAINT, "grid.linewidth": 0.6, "axes.spines.top": False,
            "axes.spines.right": False, "xtick.color": INK, "ytick.color": INK, "xtick.labelcolor": INK,
            "axes.axisbelow": True, "lines.linewidth": 1.4, "legend.fontsize": 8, "xtick.labelsize": 8,
            "ytick.labelsize": 8, "axes.formatter.useoffset": False,
        })  # fmt: skip
        yield


def drawn(key: str, draw: Callable[[Sequence[Axes]], None], plots: int, height_in: float, right: float = 1.0) -> str:
    """Plots one above the other, as SVG."""
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with _styled():
        layout = ConstrainedLayoutEngine(rect=(0, 0, right, 1))
        figure = Figure(figsize=(WIDTH_IN, 0.55 + plots * height_in), layout=layout)
        axes = figure.subplots(plots, 1, squeeze=False, sharex=True)[:, 0]
        draw(list(axes))
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    return _for_page(key, printable(buffer.getvalue()))


def _for_page(key: str, svg: str) -> str:
    """The <svg> element alone, its ids its own among all of a page, its colours the page's."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    head, _, body = svg.partition(">")
    head = re.sub(r' (width|height)="[^"]*"', "", head)
    used = set(re.findall(r'(?:url\(#|href="#)([^")]*)', svg))

    def tag_for_page(match: re.Match[str]) -> str:
        """Only tags: what looks like an id or a colour in a layer's name is text."""
        tag = re.sub(r' id="([^"]*)"', id_for_page, match[0])
        tag = re.sub(r'(url\(#|href="#)', rf"\g<1>{key}-", tag)
        for color, variable in VARIABLES.items():
            tag = tag.replace(color, f"var(--{variable})")
        return tag

    def id_for_page(match: re.Match[str]) -> str:
        """Nothing where nobody refers to it; Matplotlib may also define one thing twice, with the same content."""
        if match[1] not in used:
            return ""
        used.remove(match[1])
        return f' id="{key}-{match[1]}"'

    return re.sub(r"<[^>]*>", tag_for_page, f"{head}>{body}")
