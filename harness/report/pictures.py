"""Which pictures a run has: as many as its traced tensors give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain

from harness.compare.verdict import TensorResult
from harness.report import curves, figures
from harness.report.figures import Picture
from harness.validation import Validation

MOST_LAYERS = 4
"""LSTMs that have pictures of their own, the worst ones: a page of fifty is not looked at."""

_STATES = ("h", "c")


def pictures_of(run: Validation) -> list[Picture]:
    """All pictures of a run; none of one without results."""
    if run.expected is None or run.inputs is None or run.loaded is None:
        return []
    results = {result.name: result for result in run.results if result.worst is not None}
    has_calls = run.inputs.reset_before is not None
    groups = _groups(run, results, has_calls=has_calls)
    found: list[Picture] = []
    if run.bisection is not None and run.bisection.steps:
        found.append(figures.steps_alone("alone", run.bisection.to_json()))
    for place, (group, names) in enumerate(groups.items()):
        found += _over_steps(run, str(place), group, names, has_calls=has_calls)
    judged = dict.fromkeys(
        [*chain(*groups.values()), *(name for name in run.loaded.spec.output_names if name in results)]
    )
    if judged:
        tensors = run.judged_by
        found.append(figures.ulps("ulp", {name: curves.ulp_histogram(tensors[name], run.got[name]) for name in judged}))
    found += _saturation(run, groups)
    for place, classes in enumerate(run.classes):
        if classes.rows[0].counts is not None:
            found.append(figures.confusion(f"classes{place}", classes.output, classes.rows[0]))
    return found


def _over_steps(run: Validation, key: str, group: str, names: Sequence[str], *, has_calls: bool) -> list[Picture]:
    """The pictures with an axis of time."""
    expected, got = run.judged_by, run.got
    steps = [
        curves.steps_of(name, expected[name], got[name], run.tolerances[name], has_calls=has_calls) for name in names
    ]
    units = [curves.trajectory_of(name, expected[name], got[name], has_calls=has_calls) for name in names]
    found = [
        figures.error_by_step(f"step{key}", group, steps),
        figures.heat_map(f"map{key}", group, steps),
        figures.expected_and_got(f"both{key}", group, units),
    ]
    if not has_calls:
        return found
    return [replace(each, text=f"{each.text} The steps of the calls follow each other.") for each in found]


def _groups(run: Validation, results: Mapping[str, TensorResult], *, has_calls: bool) -> dict[str, list[str]]:
    """The tensors with steps that are shown together: h and c of the worst layers, else the outputs."""
    assert run.loaded is not None
    layers = {node.name: [f"{node.name}.{state}" for state in _STATES] for _, node in run.loaded.spec.lstm_nodes()}
    outputs = {name: [name] for name in run.loaded.spec.output_names}
    groups: dict[str, list[str]] = {}
    for wanted in (layers, outputs):
        for group, names in wanted.items():
            there = [name for name in names if name in results and curves.has_steps(run.got[name], has_calls=has_calls)]
            if there:
                groups[group] = there
        if groups:
            break
    worst = sorted(groups, key=lambda group: -max(results[name].share for name in groups[group]))[:MOST_LAYERS]
    return {group: names for group, names in groups.items() if group in worst}


def _saturation(run: Validation, shown: Mapping[str, object]) -> list[Picture]:
    """The gates of the layers that are shown, or of the first ones."""
    assert run.loaded is not None
    assert run.inputs is not None
    found = curves.saturation(run.loaded.spec, run.inputs, run.got)
    found = tuple(each for each in found if each.layer in shown) or found[:MOST_LAYERS]
    traced = any(name.endswith(".gates") for name in run.got)
    return [figures.saturated("gates", found, traced=traced)] if found else []
