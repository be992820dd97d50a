"""docs/ACCURACY.md from its template: with figures, or with blanks in their places to hold a document against."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from harness.accuracy import activations, float32, kernels, models, twins
from harness.accuracy.figures import Figures
from harness.compare import tolerance
from harness.diagnosis import advice
from harness.model import tanh_table

DOCUMENT_PATH = Path(__file__).parents[2] / "docs" / "ACCURACY.md"

_MARK = re.compile("\0(.*?)\0")
"""Stands in place of a figure: its format, between two characters that no text has."""

_WHOLE = {"d": r"\d+", "s": r"\S.*"}
"""What counts and names look like."""

_ENDINGS = {"e": r"e[+-]\d+", "f": ""}
"""What a number ends with after its digits, by the last letter of formats such as ".2e"."""


class Blank:
    """In place of figures that were not measured: any of its parts is blank too, and is printed as its format."""

    def __getattr__(self, name: str) -> Blank:
        if name.startswith(("_", "jinja")):  # which jinja2 looks for on whatever it is given
            raise AttributeError(name)
        return self

    def __getitem__(self, key: object) -> Blank:
        return self

    def __format__(self, form: str) -> str:
        return f"\0{form}\0"


def document(figures: Figures) -> str:
    """The whole document."""
    return _rendered({field.name: getattr(figures, field.name) for field in fields(figures)})


def deviations(text: str) -> Iterator[str]:
    """Where a document is not what the template and the constants of today make, but for the digits of its figures.

    Args:
        text: of docs/ACCURACY.md.

    Yields:
        Lines, each with its number; the first only, where lines were added or left out.
    """
    wanted = _rendered({field.name: Blank() for field in fields(Figures)}).splitlines()
    lines = text.splitlines()
    for number, (line, want) in enumerate(zip(lines, wanted, strict=False), 1):
        if not re.fullmatch(_pattern(want), line):
            yield f"line {number} is {line!r}, to be {_MARK.sub('#', want)!r}"
            if len(lines) != len(wanted):
                return
    if len(lines) != len(wanted):
        yield f"it has {len(lines)} lines, to be {len(wanted)}"


def _pattern(want: str) -> str:
    parts = _MARK.split(want)  # text, format, text, ...
    return "".join(_figure(part) if place % 2 else re.escape(part) for place, part in enumerate(parts))


def _figure(form: str) -> str:
    if form in _WHOLE:
        return _WHOLE[form]
    digits = int(form[1:-1])
    return r"-?\d+" + (rf"\.\d{{{digits}}}" if digits else "") + _ENDINGS[form[-1]]


def _rendered(figures: dict[str, Any]) -> str:
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters.update(fmt=format, short=_short, plain=_plain)
    return environment.get_template("ACCURACY.md.j2").render(
        **figures,
        activation=activations,
        advice=advice,
        float32_type=np.finfo(np.float32),
        held_out=models.held_out_images(),
        kernel=kernels,
        models=models,
        points=len(activations.points()),
        programs=float32,
        tanh_table=tanh_table,
        tolerance=tolerance,
        twins=twins,
    )


def _short(value: object, form: str) -> str:
    """A figure in prose: 3e-7, where a table has 3e-07."""
    return re.sub(r"e-0+", "e-", format(value, form))


def _plain(value: float) -> str:
    """A constant as people write it: 5e-7, 0.001, 28."""
    return _short(value, "g")
