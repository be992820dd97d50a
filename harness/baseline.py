"""What a kernel or a model cost before and how accurate it was, in a committed file, and whether it is worse now.

    {"schema": "lstm-hil/baseline/1", "percent": 2.0, "entries": [
     {"target": "qemu", "kernel": "packed", "input_size": 28, "units": 75, "compiler": "gcc 12.2.1", "figures": {...}},
     {"target": "qemu", "kernel": "packed", "model": "m.keras", "trace": "hc", "values": "0c1d", "mask": "", ...}]}

Instructions are counted, not timed, so that a busy machine changes nothing; another compiler does, and then nobody can
say what got worse. Figures that depend on it are compared with those of the same compiler only.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from harness.errors import UsageError
from harness.reading import refuse_pipe

SCHEMA = "lstm-hil/baseline/1"
"""Name and version of the file; the version goes up when a field changes its meaning."""

DEFAULT_PERCENT = 2.0
"""How much worse a figure may be, where neither file nor command line says it: what people care to look into."""

OF_ANY_COMPILER = ("max_abs_error_h", "max_abs_error_c", "static_ram_bytes")
"""No contraction and no libm: every compiler gives the same bits. The RAM of a model is laid out by the host."""

TICKS = ("instructions_per_step", "cycles_per_step")

OF_ONE_COMPILER = (*TICKS, "flash_bytes", "stack_bytes")

FIGURES = (*OF_ANY_COMPILER, *OF_ONE_COMPILER)
"""All of a `bench.Cost` that may only get less."""

ERROR_PREFIX = "max_abs_error"
"""Of a model each tensor has one: `max_abs_error lstm.h`."""

MODEL_FIGURES = ("image_bytes", "work_bytes")
"""Beside its errors and what its steps cost. Both are laid out by the host."""

_MOST_BYTES = 8 << 20
"""Largest file that is read: 20,000 entries."""


@dataclass(frozen=True, order=True)
class Key:
    """What figures are of.

    Attributes:
        target: kind of the target, or name of the board.
        input_size: features of a step.
        units: of the LSTM.
        kernel: what computes it.
    """

    target: str
    input_size: int
    units: int
    kernel: str

    def __str__(self) -> str:
        """`packed 28,75 on qemu`."""
        return f"{self.kernel} {self.input_size},{self.units} on {self.target}"


@dataclass(frozen=True, order=True)
class ModelKey:
    """What figures of a model are of.

    Attributes:
        target: kind of the target, or name of the board.
        model: name of its file, and of the one LSTM that is validated, if there is one.
        kernel: what computes its LSTMs.
        trace: level of what was kept and fetched, which takes memory and time.
    """

    target: str
    model: str
    kernel: str
    trace: str

    def __str__(self) -> str:
        """`m.keras by packed on qemu, trace hc`."""
        return f"{self.model} by {self.kernel} on {self.target}, trace {self.trace}"


AnyKey: TypeAlias = Key | ModelKey


@dataclass(frozen=True)
class Entry:
    """Figures of one key.

    Attributes:
        compiler: of the firmware, with its version.
        figures: by name; what was not measured is not there.
        values: of a model: a hash over weights and inputs, without which its errors say nothing.
        mask: of a model: a hash over the mask, empty where there was none. A step that is left out costs less.
    """

    compiler: str
    figures: Mapping[str, float]
    values: str = ""
    mask: str = ""


@dataclass(frozen=True)
class Baseline:
    """A file.

    Attributes:
        percent: how much worse a figure may be.
        entries: by what they are of.
    """

    percent: float
    entries: Mapping[AnyKey, Entry]

    def updated(self, measured: Mapping[AnyKey, Entry]) -> Baseline:
        """The same with new figures in the place of old ones, and those of others as they were."""
        return Baseline(self.percent, {**self.entries, **measured})


@dataclass(frozen=True)
class Difference:
    """A figure that is not what it was.

    Attributes:
        key: of what.
        name: of the figure.
        before: in the file.
        now: measured.
    """

    key: AnyKey
    name: str
    before: float
    now: float

    @property
    def percent(self) -> float:
        """How much more than before; negative: less. Infinite where it was zero."""
        return 100 * (self.now / self.before - 1) if self.before else math.inf

    def __str__(self) -> str:
        """`packed 28,75 on qemu: instructions_per_step 40900 -> 42000, 2.7 % more`."""
        how = f"{abs(self.percent):.2g} % {'more' if self.now > self.before else 'less'}"
        return f"{self.key}: {self.name} {self.before:.6g} -> {self.now:.6g}, {how}"

    def to_json(self) -> dict[str, Any]:
        """An entry of `worse` or `better`."""
        return {"figure": self.name, "before": self.before, "now": self.now, "text": str(self)}


@dataclass(frozen=True)
class Comparison:
    """What came of holding figures against a file.

    Attributes:
        compared: how many figures were.
        worse: beyond what is allowed.
        better: by as much.
        notes: what was not compared, and why.
    """

    compared: int
    worse: tuple[Difference, ...]
    better: tuple[Difference, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Held:
    """A run that was held against a file.

    Attributes:
        file: its name.
        percent: how much worse a figure may be.
        found: what came of it.
        is_strict: what was not compared fails too.
    """

    file: str
    percent: float
    found: Comparison
    is_strict: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether something is worse, or not compared where that is to fail."""
        return bool(self.found.worse) or (self.is_strict and bool(self.found.notes))

    @property
    def reason(self) -> str:
        """Of one that has failed, why, with the first figure or note."""
        if self.found.worse:
            count = f"{len(self.found.worse)} of {self.found.compared} figures"
            return f"{count} worse than in {self.file}, first {self.found.worse[0]}"
        return f"not compared with {self.file} in full: {self.found.notes[0]}"

    def to_json(self) -> dict[str, Any]:
        """The field `baseline` of the record."""
        return {
            "file": self.file,
            "percent": self.percent,
            "verdict": "FAIL" if self.has_failed else "PASS",
            "compared": self.found.compared,
            "worse": [each.to_json() for each in self.found.worse],
            "better": [each.to_json() for each in self.found.better],
            "notes": list(self.found.notes),
        }


def entry_of(compiler: str, row: Mapping[str, Any]) -> Entry:
    """The entry of a row of `hil bench`."""
    return Entry(compiler, {name: row[name] for name in FIGURES if row.get(name) is not None})


def compare_with(
    baseline: Baseline,
    measured: Mapping[AnyKey, Entry],
    percent: float | None = None,
    slack: Mapping[str, float] | None = None,
) -> Comparison:
    """Hold figures against those of a file.

    Args:
        baseline: the file.
        measured: the figures.
        percent: how much worse each may be; None: what the file says.
        slack: by figure, how unsure a measurement of it is, in its own unit.
    """
    percent = baseline.percent if percent is None else percent
    compared, worse, better, notes = 0, list[Difference](), list[Difference](), list[str]()
    for key, entry in measured.items():
        before = baseline.entries.get(key)
        if before is None:
            notes.append(f"{key}: not in the baseline")
            continue
        names, why = _comparable(key, before, entry)
        notes += why
        for name in names:
            compared += 1
            difference = Difference(key, name, before.figures[name], entry.figures[name])
            allowed = percent / 100 * difference.before + (slack or {}).get(name, 0.0)
            if difference.now > difference.before + allowed:
                worse.append(difference)
            elif difference.now < difference.before - allowed:
                better.append(difference)
    return Comparison(compared, tuple(worse), tuple(better), tuple(notes))


def _comparable(key: AnyKey, before: Entry, entry: Entry) -> tuple[list[str], list[str]]:
    """Names of the figures that say something about each other, and why the others are left out."""
    notes: list[str] = []
    names = [*before.figures, *(name for name in entry.figures if name not in before.figures)]
    if before.compiler != entry.compiler:
        names = [name for name in names if name not in OF_ONE_COMPILER]
        notes.append(
            f"{key}: instructions, cycles, flash and stack are not compared: the baseline is of "
            f"{before.compiler}, this is {entry.compiler}"
        )
    if before.values != entry.values:
        names = [name for name in names if not name.startswith(ERROR_PREFIX)]
        notes.append(f"{key}: errors are not compared: the baseline is of other weights or inputs")
    if before.mask != entry.mask and any(name in TICKS for name in names):
        names = [name for name in names if name not in TICKS]
        notes.append(f"{key}: instructions and cycles are not compared: the baseline is of another mask")
    for figures, where in ((before.figures, "in the baseline"), (entry.figures, "in this run")):
        if missing := [name for name in names if name not in figures]:
            names = [name for name in names if name in figures]
            notes.append(f"{key}: not {where}: {', '.join(missing)}")
    return names, notes


def read_baseline(path: Path) -> Baseline:
    """A file.

    Raises:
        UsageError: it is not there, or no baseline.
    """
    try:
        refuse_pipe(path)
        if path.stat().st_size > _MOST_BYTES:
            raise ValueError(f"it has more than {_MOST_BYTES} bytes")
        return _baseline(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UsageError(
            f"there is no file {path}", code="baseline_not_found", remedy="make it with --update-baseline"
        ) from None
    except (OSError, ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
        raise UsageError(
            f"{path} is no baseline: {reason}",
            code="baseline_unreadable",
            remedy="give a file that `--baseline FILE --update-baseline` wrote; an old one: delete it and measure anew",
        ) from error


def baseline_text(baseline: Baseline) -> str:
    """The text of a file: an entry a line and in order, so that a change of one is a change of one line."""
    lines = []
    for key, entry in sorted(baseline.entries.items(), key=lambda each: (isinstance(each[0], ModelKey), each[0])):
        of: dict[str, Any] = {"target": key.target, "kernel": key.kernel}
        if isinstance(key, ModelKey):
            of |= {"model": key.model, "trace": key.trace, "values": entry.values, "mask": entry.mask}
        else:
            of |= {"input_size": key.input_size, "units": key.units}
        lines.append(json.dumps({**of, "compiler": entry.compiler, "figures": dict(entry.figures)}, allow_nan=False))
    head = f'{{"schema": "{SCHEMA}", "percent": {json.dumps(baseline.percent, allow_nan=False)}, "entries": [\n'
    return head + ",\n".join(lines) + "\n]}\n"


def check_percent(percent: float | None, source: str) -> None:
    """Refuse what is no allowance.

    Raises:
        UsageError: it is negative, NaN or infinite.
    """
    if percent is not None and not 0 <= percent < math.inf:
        raise UsageError(f"{source} is {percent}", remedy=f"give {source} a number of 0 or more")


def _baseline(content: Any) -> Baseline:
    if content["schema"] != SCHEMA:
        raise ValueError(f"its schema is not {SCHEMA}")
    entries: dict[AnyKey, Entry] = {}
    for each in content["entries"]:
        key = _key(each)
        if key in entries:
            raise ValueError(f"it has {key} twice")
        figures = {name: _figure(value) for name, value in each["figures"].items() if _is_known(name)}
        values, mask = (_text(each["values"]), _text(each["mask"])) if isinstance(key, ModelKey) else ("", "")
        entries[key] = Entry(_text(each["compiler"]), figures, values, mask)
    percent = float(content["percent"])
    if not 0 <= percent < math.inf:
        raise ValueError(f"its percent is {percent}")
    return Baseline(percent, entries)


def _key(entry: Any) -> AnyKey:
    if "model" in entry:
        if "trace" not in entry or "mask" not in entry:
            raise ValueError(f"its entry of {entry['model']!r} is of an earlier version: it lacks trace or mask")
        return ModelKey(*(_text(entry[name]) for name in ("target", "model", "kernel", "trace")))
    return Key(_text(entry["target"]), int(entry["input_size"]), int(entry["units"]), _text(entry["kernel"]))


def _is_known(name: str) -> bool:
    return name in FIGURES or name in MODEL_FIGURES or name.startswith(f"{ERROR_PREFIX} ")


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{value!r} is no name")
    return value


def _figure(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < math.inf:
        raise ValueError(f"a figure is {value!r}")
    return value
