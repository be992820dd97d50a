"""The report as a page: one file without scripts that needs nothing else, and answers before it shows.

Made of the record and the pictures alone, so that the page cannot say what the record does not.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import quote

from harness.compare.verdict import element_text
from harness.diagnosis.score import short_of_all, warning_of
from harness.report.figures import Picture
from harness.report.text import printable
from harness.report.timing import cost_lines

if TYPE_CHECKING:
    from jinja2 import Environment

Record: TypeAlias = Mapping[str, Any]

TEMPLATES = Path(__file__).parent / "templates"

_ROW_NAMES = {
    "device_vs_truth": "device against truth",
    "keras_vs_truth": "Keras against truth",
    "device_vs_keras": "device against Keras",
}

_SHOWN_ABOVE = ("tensors", "classification", "error", "diagnosis", "diagnosis_note", "bisect", "bisect_note", "verdict")
"""What is not repeated under all fields."""


@dataclass(frozen=True)
class Card:
    """One of the answers at the top."""

    title: str
    lines: tuple[str, ...]


def report_page(record: Record, pictures: Sequence[Picture] = (), picture_note: str = "") -> str:
    """The page of one run.

    Args:
        record: of a validation; docs/REPORT.md names its fields.
        pictures: of the same run.
        picture_note: why there are none, if that needs a word.
    """
    model = record["model"]
    title = f"{model['file']}, layer {model['layer']}" if model.get("layer") else model["file"]
    return _environment().get_template("report.html.j2").render(
        record=record,
        title=title,
        headline=_headline(record),
        cards=_cards(record),
        diagnosis=_diagnosis(record),
        is_wrong_where=_is_wrong_where(record),
        pictures=pictures,
        notes=[*([picture_note] if picture_note else []), *_steps_note(record)],
        row_names=_ROW_NAMES,
        all_fields=_all_fields(record),
        style=_style(),
    )  # fmt: skip


def index_page(runs: Mapping[str, Record]) -> str:
    """The page of several runs.

    Args:
        runs: their records by the folders that their own pages are in.
    """
    counts = {name: sum(record["verdict"] == name for record in runs.values()) for name in _VERDICTS}
    told = ", ".join(f"{count} {name}" for name, count in counts.items() if count) or "no runs"
    rows = [
        # of the bytes of the name, which need not be UTF-8
        {"folder": folder, "address": quote(os.fsencode(folder)), "record": record, "share": _most_share(record)}
        for folder, record in runs.items()
    ]
    return _environment().get_template("index.html.j2").render(headline=told, runs=rows, style=_style())


_VERDICTS = ("PASS", "MARGINAL", "FAIL", "ERROR")


def _headline(record: Record) -> str:
    tensors = record["tensors"]
    values = sum(each["elements"] for each in tensors)
    if record["verdict"] == "ERROR":
        return "No verdict: something kept the numbers from being compared. Nothing is said of whether they are right."
    if record["verdict"] == "FAIL":
        beyond = sum(each["beyond"] for each in tensors)
        bad = sum(not each["pass"] for each in tensors)
        if not bad and _is_worse(record):
            return "Every value is within its tolerance, and the run is worse than its baseline allows."
        if not bad:
            return (
                "Every value is within its tolerance, and some bits are not those of the same firmware on this machine."
            )
        first = [each["first_step_beyond"] for each in tensors if each["first_step_beyond"] is not None]
        since = f", the first at time step {min(first)}" if first else ""
        return f"{beyond} of {values} values are beyond their tolerance, in {bad} of {len(tensors)} tensors{since}."
    nearly = " Some are close to it." if record["verdict"] == "MARGINAL" else ""
    return f"All {values} values of {len(tensors)} tensors are within their tolerance.{nearly}{_unseen(record)}"


def _unseen(record: Record) -> str:
    """That a pass says little, where it does."""
    vectors = record["vectors"]
    sees = "" if vectors is None else short_of_all(vectors["seen"], vectors["mutations"], vectors["not_tried"])
    return f" These inputs see {sees}; this verdict says nothing of the others." if sees else ""


def _cards(record: Record) -> list[Card]:
    cards = [Card("What was compared" if record["tensors"] else "What was asked for", tuple(_compared(record)))]
    worst = max(record["tensors"], key=lambda each: float(each["share"]), default=None)
    if worst is not None:
        cards.append(Card("Where it is worst", tuple(_worst(worst, record["tolerance"].get(worst["name"])))))
        cards.append(Card("Where the tolerance comes from", tuple(_tolerance(record, worst))))
    if record["tensors"]:
        cards.append(Card("What a time step costs", tuple(cost_lines(record["timing"]))))
    if record["baseline"] is not None:
        cards.append(Card("Against the baseline", tuple(_held(record["baseline"]))))
    if record["vectors"] is not None:
        cards.append(Card("What the inputs could have shown", tuple(_shown(record["vectors"]))))
    return cards


def _is_worse(record: Record) -> bool:
    return record["baseline"] is not None and record["baseline"]["verdict"] == "FAIL"


def _held(baseline: Record) -> list[str]:
    """What is worse first: the reason of a verdict."""
    count = f"{len(baseline['worse'])} of {baseline['compared']} figures"
    return [
        f"{baseline['verdict']}: {count} are worse than in {baseline['file']} by more than {baseline['percent']:g} %.",
        *(f"Worse: {each['text']}." for each in baseline["worse"]),
        *(f"Better: {each['text']}." for each in baseline["better"]),
        *(f"Not compared: {note}." for note in baseline["notes"]),
    ]


def _compared(record: Record) -> list[str]:
    lines = []
    model, inputs, target, oracle = (record[name] for name in ("model", "inputs", "target", "oracle"))
    if model.get("layers"):
        layers = " + ".join(f"{each['kind']}({each['units']})" for each in model["layers"])
        lines.append(f"Model: {layers}, {model['parameters_total']} parameters.")
    if inputs is not None:
        *_, sequences, steps, features = inputs["shape"]
        calls = f"{inputs['calls']} calls of " if inputs["calls"] else ""
        origin = "from a file" if inputs["seed"] is None else f"random, seed {inputs['seed']}"
        lines.append(f"Inputs: {calls}{sequences} sequences x {steps} steps x {features} features, {origin}.")
    firmware = record["firmware"]
    build = f", firmware build {firmware['build_id'][:12]}, {firmware['compiler']}" if firmware else ""
    kernel = f", kernel {record['kernel']}" if record["kernel"] else ""
    kind = "" if target["name"] == target["kind"] else f" ({target['kind']})"
    lines.append(f"Device: {target['name']}{kind}{build}{kernel}.")
    if oracle is not None:
        versions = ", ".join(f"{name} {version}" for name, version in oracle["versions"].items())
        lines.append(f"Against: {oracle['name']} in float32 ({versions}), trace {record['trace']}.")
    given = record["expected_file"]
    if given is not None:
        names = ", ".join(given["max_abs_to_keras"])
        lines.append(f"Judged by {given['file']} in place of Keras: {names}.")
    return lines


def _worst(worst: Record, tolerance: Record | None) -> list[str]:
    if worst["worst"] is None or tolerance is None:
        return [f"{worst['name']}: {worst['problem']}."]
    place = worst["worst"]
    error = abs(float(place["got"]) - float(place["expected"]))
    values = (
        f"{worst['name']}, {place_text(worst)}: expected {_digits(place['expected'])}, got {_digits(place['got'])}."
    )
    if not math.isfinite(float(worst["max_abs"])):
        return [values, "One side has a NaN or an infinity that the other has not: no tolerance allows that."]
    if math.isinf(float(worst["share"])):
        return [values, f"The error is {error:.3g}, and none is allowed there."]
    return [
        values,
        f"The error of {error:.3g} is {_percent(worst['share'], 'of')} what is allowed there{_left(worst['share'])}.",
    ]


def _left(share: float | str) -> str:
    return f"; {_percent(1 - float(share))} of it is left" if 0 <= float(share) <= 1 else ""


def _tolerance(record: Record, worst: Record) -> list[str]:
    tolerance, oracle = record["tolerance"].get(worst["name"]), record["oracle"]
    if tolerance is None:
        return [f"{worst['name']} was not expected: there is none."]
    lines = [
        f"Of {worst['name']}: |error| <= {_short(tolerance['atol'])} + {_short(tolerance['rtol'])} |expected|.",
        _sentence(tolerance["reason"]),
    ]
    lines += [f"It hides a mistake that the derived one would not: {each}." for each in record["tolerance_hides"]]
    if oracle is not None and oracle["max_abs_to_float64"] is not None:
        lines.append(f"Keras itself is up to {_short(oracle['max_abs_to_float64'])} away from float64 on these inputs.")
    return lines


def _shown(vectors: Record) -> list[str]:
    """Which mistakes would not have been noticed."""
    lines = [f"{vectors['seen']} of {vectors['mutations']} planted mistakes would have been out of tolerance."]
    if (warning := warning_of(vectors["not_tried"])) is not None:
        lines.append(_sentence(warning))
    if vectors["unseen"]:
        lines.append("Not seen:")
        lines += vectors["unseen"]
    return lines


def _diagnosis(record: Record) -> list[str]:
    """What the diagnosis found, in sentences."""
    whose = {"device": "", "expected": "The given values: "}
    lines = [f"{_sentence(whose[each['of']] + each['text'])} Name: {each['name']}." for each in record["diagnosis"]]
    if record["diagnosis_note"]:
        lines.append(_sentence(record["diagnosis_note"]))
    if _is_wrong_where(record):
        lines += [_sentence(line) for line in record["bisect"]["text"].split("; ")]
    return lines


def _is_wrong_where(record: Record) -> bool:
    """Whether the element that was looked at is a mistake: of a pass it is the one nearest to its tolerance."""
    return record["verdict"] == "FAIL" and record["bisect"] is not None and record["bisect"]["cause"] != "none"


def _steps_note(record: Record) -> list[str]:
    """Why the picture of single steps is not there, or what came between."""
    note = record["bisect_note"]
    return [_sentence(f"single steps: {note}")] if note else []


def _sentence(text: str) -> str:
    """What stands in a list or a line of the terminal as a sentence."""
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith('.') else '.'}"


def _all_fields(record: Record) -> dict[str, Any]:
    """The record's parts, each with its fields; what stands alone is together in one."""
    alone = {
        name: value for name, value in record.items() if not isinstance(value, Mapping) and name not in _SHOWN_ABOVE
    }
    parts = {
        name: value
        for name, value in record.items()
        if isinstance(value, Mapping) and value and name not in _SHOWN_ABOVE
    }
    return {"in general": alone, **parts}


def place_text(tensor: Record) -> str:
    """Where a tensor is worst."""
    worst = tensor["worst"]
    if worst is None:
        return "-"
    return element_text(worst.get("call"), worst["sequence"], worst["step"], worst.get("gate"), worst["unit"])


def _most_share(record: Record) -> float | None:
    return max((float(each["share"]) for each in record["tensors"]), default=None)


def _digits(value: float | str) -> str:
    """As many digits as a float32 has."""
    return value if isinstance(value, str) else f"{value:.9g}"


def _short(value: float | str | None) -> str:
    return "-" if value is None else f"{float(value):.3g}"


def _percent(value: float | str | None, of: str = "") -> str:
    """A share; where it is many times the whole, how many. `of` follows a percentage alone."""
    if value is None:
        return "-"
    number = float(value)
    if number < _PERCENT_BELOW:
        return f"{number:.1%} {of}".rstrip()
    return f"{number:.3g} times" if math.isfinite(number) else "infinite"


_PERCENT_BELOW = 10
"""From here on a multiple says more than a percentage."""


def _plain(value: Any) -> str:
    """A field's value."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(each) for each in value) or "none"
    return printable(str(value)) if not isinstance(value, Mapping) else "none"


@lru_cache
def _style() -> str:
    return (TEMPLATES / "style.css").read_text(encoding="utf-8")


@lru_cache
def _environment() -> Environment:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        finalize=lambda value: printable(value) if type(value) is str else value,
    )
    environment.filters.update(digits=_digits, short=_short, percent=_percent, plain=_plain, place=place_text)
    return environment
