"""What a person sees beside the numbers: what the inputs are worth, where values begin to be wrong, and why."""

from __future__ import annotations

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from harness.compare.verdict import all_passed
from harness.diagnosis.bisection import Bisection
from harness.errors import ModelRefused
from harness.validation import Validation

_STEPS_AROUND = 8
"""Steps that are shown before and after the one that was looked at."""

_NAMED = 6
"""Mistakes that a line names."""


def print_findings(console: Console, run: Validation) -> None:
    """All that was found out of a run once its numbers were compared."""
    _print_vectors(console, run)
    is_wrong = run.looked_closer or not all_passed(run.results)
    if run.bisect_error is not None and (is_wrong or not isinstance(run.bisect_error, ModelRefused)):
        told = "where   not found out:" if is_wrong else "note    single steps:"
        console.print(f"{told} {escape(run.bisect_error.message)}")
    if run.bisection is not None and (run.looked_closer or (is_wrong and run.bisection.cause != "none")):
        for line in run.bisection.lines:
            console.print(f"where   {escape(line)}")
    for line in () if run.explanation is None else run.explanation.lines:
        console.print(f"why     {escape(line)}")
    if run.first_of_given is not None:
        place = run.first_of_given
        values = f"expected {place.expected:.9g}, got {place.got:.9g}"
        console.print(f"given   first beyond the tolerance of the given values is {escape(place.text)}: {values}")
    for line in () if run.given_explanation is None else run.given_explanation.lines:
        console.print(f"given   {escape(line)}")
    for trouble in run.troubles:
        console.print(f"note    not found out: {escape(trouble)}; report it with the model and the command")


def _print_vectors(console: Console, run: Validation) -> None:
    """What inputs and tolerances are worth."""
    if run.score is not None:
        console.print(f"vectors {escape(run.score.line)}")
        if run.score.warning is not None:
            console.print(f"warning {escape(run.score.warning)}")
    if run.hidden:
        names = ", ".join(each.text for each in run.hidden[:_NAMED])
        more = f" and {len(run.hidden) - _NAMED} more" if len(run.hidden) > _NAMED else ""
        console.print(f"        the given tolerance hides {escape(names)}{more}: the derived one does not")
    asked_for = any("given" in tolerance.reason for tolerance in run.tolerances.values())
    if run.advice and (asked_for or run.verdict == "MARGINAL"):
        name, advice = max(run.advice.items(), key=lambda each: each[1].atol)
        options = f"--atol {advice.atol:g} --rtol {advice.rtol:g}"
        console.print(f"advice  {options}: in {escape(name)} {escape(advice.reason)}")


def print_bisection(console: Console, bisection: Bisection) -> None:
    """The parts of the step that was looked at, and the errors of the steps around it."""
    if bisection.stages:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("part of the step", "gate", "unit", "max abs", "ULP", "wrong from", "expected", "got", ""):
            table.add_column(title, no_wrap=True)
        for stage in bisection.stages:
            numbers = [str(stage.unit), f"{stage.max_abs:.2e}", f"{stage.ulp:.3g}", f"{stage.limit_ulp:g}"]
            values = [f"{value:.9g}" for value in (stage.expected, stage.got)]
            mark = "[bold red]wrong[/]" if stage.is_wrong else "ok"
            table.add_row(stage.name, stage.gate or "", *numbers, *values, mark)
        console.print(table)
    place = bisection.first.step or 0
    around = bisection.steps[max(0, place - _STEPS_AROUND) : place + _STEPS_AROUND + 1]
    if around:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for title in ("step", "error in the run", "error from Keras' h and c"):
            table.add_column(title, justify="right", no_wrap=True)
        for each in around:
            forced = "-" if each.teacher_forced is None else f"{each.teacher_forced:.2e}"
            table.add_row(str(each.step), f"{each.free_running:.2e}", forced)
        console.print(table)
