"""What a record says of time: what was measured, and of what was not, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.model.fit import macs_of
from harness.model.spec import ModelSpec
from harness.protocol.wire import Phase
from harness.ticks import tick_unit, why_no_ticks
from harness.validation import Validation

_NOT_SO_FAR = "the run did not come so far"
_NOT_ALONE = "single steps are counted with --report"
_ALL_MASKED = "every step of the sequences that were counted is masked"


def timing_fields(run: Validation, target: Mapping[str, Any]) -> dict[str, Any]:
    """`timing` of docs/REPORT.md.

    Args:
        run: the run, whatever its end.
        target: what the target says of itself.
    """
    steps = 0 if run.inputs is None else run.inputs.calls * run.inputs.batch * run.inputs.steps
    unit = None if run.hello is None else tick_unit(run.hello, target)
    of_step = None if run.step_ticks is None else run.step_ticks.step
    macs = None if run.loaded is None or not run.got else macs_per_step(run.loaded.spec)
    return {
        **{f"{stage}_s": round(seconds, 4) for stage, seconds in run.times_s.items()},
        "time_steps": steps,
        "masked_steps": _masked(run),
        "tick_unit": unit,
        "ticks_per_step": _mean(run, steps) if unit is not None else None,
        "step_ticks": None if of_step is None else of_step.to_json(),
        "end_ticks": None if run.step_ticks is None else run.step_ticks.end_ticks,
        "macs_per_step": macs,
        "ticks_per_mac": of_step.median / macs if of_step is not None and macs else None,
        **_by_the_clock(run, unit, steps),
        "note": _note(run, unit),
    }


def macs_per_step(spec: ModelSpec) -> int:
    """Multiplications and additions of one time step, without what runs once behind the last one."""
    return sum(macs_of(node) for node in spec.nodes if node.phase is Phase.EVERY_STEP)


def _masked(run: Validation) -> int:
    return 0 if run.inputs is None or run.loaded is None else run.inputs.masked_steps(run.loaded.spec)


def _mean(run: Validation, steps: int) -> float | None:
    if run.step_ticks is not None:
        return run.step_ticks.mean
    return run.ticks / steps if steps and run.got else None


def _by_the_clock(run: Validation, unit: str | None, steps: int) -> dict[str, float | None]:
    """What cycles are as time, by the clock that the firmware has set up; an emulator's instructions are none."""
    us_per_step = compute_share = None
    if unit == "cycles" and run.hello is not None and run.hello.sysclk_hz and run.got:
        mean = _mean(run, steps)
        clock_hz, wall_s = run.hello.sysclk_hz, run.times_s.get("device")
        of_step = None if run.step_ticks is None else run.step_ticks.step
        cycles = mean if of_step is None else of_step.median
        if of_step is None and _masked(run):
            cycles = None  # masked steps, which cost next to nothing, are part of the mean
        us_per_step = None if cycles is None else cycles / clock_hz * 1e6
        compute_share = run.ticks / clock_hz / wall_s if wall_s else None
    return {
        "us_per_step": us_per_step,
        "steps_per_second": 1e6 / us_per_step if us_per_step else None,
        "link_share": None if compute_share is None else max(0.0, 1 - compute_share),
    }


def _note(run: Validation, unit: str | None) -> str | None:
    """Why something is null; None where nothing is."""
    if run.hello is None or not run.got:
        return _NOT_SO_FAR
    if unit is None:
        return why_no_ticks(run.hello)
    if run.step_ticks is None:
        return _NOT_ALONE
    if run.step_ticks.step is None:
        return _ALL_MASKED
    return None if unit == "cycles" else "instructions are no cycles: how long the chip takes for them is not known"


def cost_lines(timing: Mapping[str, Any]) -> list[str]:
    """What a time step costs, for people.

    Args:
        timing: of a record.
    """
    unit, step = timing["tick_unit"], timing["step_ticks"]
    if step is None:
        mean = timing["ticks_per_step"]
        known = [] if mean is None else [f"{mean:.0f} {unit} per time step, mean of {timing['time_steps']}."]
        return [*known, f"Not measured: {timing['note']}."] if timing["note"] else known
    spread = f"least {step['min']}, p99 {step['p99']}, most {step['max']}"
    lines = [f"{step['median']:.0f} {unit} per time step: median of {step['counted']}, each asked alone; {spread}."]
    if timing.get("masked_steps"):
        lines.append(
            f"{timing['masked_steps']} of the run's {timing['time_steps']} time steps are masked: not among them."
        )
    if timing["end_ticks"]:
        lines.append(f"{timing['end_ticks']:.0f} {unit} more behind the last step of a sequence.")
    if timing["ticks_per_mac"] is not None:
        lines.append(f"{timing['ticks_per_mac']:.2f} {unit} for each of {timing['macs_per_step']} MACs.")
    if timing["us_per_step"] is not None:
        rate = f"{timing['steps_per_second']:.0f} steps/s"
        lines.append(f"{timing['us_per_step']:.1f} us a step by the device's clock, {rate} without the link.")
    if timing["link_share"] is not None:
        lines.append(f"{timing['link_share']:.1%} of the run's {timing['device_s']:.2f} s went to the link.")
    return [*lines, f"{timing['note'][:1].upper()}{timing['note'][1:]}."] if timing["note"] else lines


def median_of(timing: Mapping[str, Any]) -> dict[str, float]:
    """`cycles_median` or `instructions_median` with its value; empty where no single step was counted."""
    step = timing["step_ticks"]
    return {} if step is None else {f"{timing['tick_unit']}_median": step["median"]}
