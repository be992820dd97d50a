"""Which pictures a run has: as many as its traced tensors give."""

from __future__ import annotations

from collections.abc import Mapping

from harness.compare.verdict import TensorResult
from harness.model.spec import Float32Array
from harness.report import curves, figures
from harness.report.figures import Picture
from harness.validation import Validation

MOST_LAYERS = 4
"""LSTMs that have pictures of their own, the worst ones: a page of fifty is not looked at."""

_STATES = ("h", "c")
_GATES = ("z", "gates")


def pictures_of(run: Validation) -> list[Picture]:
    """All pictures of a run; none of one without results."""
    if run.expected is None or run.inputs is None or run.loaded is None:
        return []
    results = {result.name: result for result in run.results if result.worst is not None}
    has_calls = run.inputs.reset_before is not None
    found: list[Picture] = []
    if run.bisection is not None and run.bisection.steps:
        found.append(figures.steps_alone("alone", run.bisection.to_json()))
    for place, (layer, names) in enumerate(_groups(run, results, has_calls=has_calls).items()):
        expected, got = run.expected.tensors, run.got
        steps = [
            curves.steps_of(name, expected[name], got[name], run.tolerances[name], has_calls=has_calls)
            for name in names
        ]
        units = [curves.trajectory_of(name, expected[name], got[name], has_calls=has_calls) for name in names]
        found += [
            figures.error_by_step(f"step{place}", layer, steps),
            figures.heat_map(f"map{place}", layer, steps),
            figures.expected_and_got(f"both{place}", layer, units),
        ]
    judged = [name for name in results if name.rpartition(".")[2] not in ("h_last", "c_last", *_GATES)]
    if judged:
        tensors = run.expected.tensors
        found.append(figures.ulps("ulp", {name: curves.ulp_histogram(tensors[name], run.got[name]) for name in judged}))
    found += _saturation(run, run.got)
    for place, classes in enumerate(run.classes):
        if classes.rows[0].counts is not None:
            found.append(figures.confusion(f"classes{place}", classes.output, classes.rows[0]))
    return found


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


def _saturation(run: Validation, got: Mapping[str, Float32Array]) -> list[Picture]:
    assert run.loaded is not None
    assert run.inputs is not None
    found = curves.saturation(run.loaded.spec, run.inputs, got)[:MOST_LAYERS]
    traced = any(name.endswith(".gates") for name in got)
    return [figures.saturated("gates", found, traced=traced)] if found else []
