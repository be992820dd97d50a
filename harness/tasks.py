"""The checks of this project, listed once for people and for CI: `./hil test`, or `./hil test lint types`.

What cannot run here is left out, with its reason, and all that was left out is listed at the end: a green run never
hides a check that did not happen.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from harness.bootstrap.system import missing_parts
from harness.endings import wait_for
from harness.errors import TargetUnavailable, UsageError
from harness.processes import end_with_us
from harness.renode.find import find_renode

ROOT: Final = Path(__file__).resolve().parents[1]

C_FILES: Final = "all of firmware's C files"
"""Stands in a command for their names."""

GENERATED_C: Final = frozenset({"firmware/lib/wire/wire_defs.h"})
"""Written by a program, which lays it out as it likes."""

PYTEST_REPORT: Final = ".hil/tests.xml"

TIDY_UP_S: Final = 20
"""What an interrupted tool may take to end in order."""

IN_PROCESSES: Final = (
    (f"--numprocesses={min(os.cpu_count() or 1, 7) + 1}", "--dist=loadscope") if find_spec("xdist") else ()
)
"""One process of tests more than there are processors, since tests wait much; eight have TensorFlow eight times."""

NO_BOARD: Final = "on a board: none is chosen here: pytest --board=nucleo_f446re"
"""Where the firmware is meant to be tested too, and why it is not: nobody may take a green run for one there."""

Say = Callable[[str], None]


class Outcome(Enum):
    """How a task ended."""

    OK = "ok"
    FAILED = "failed"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Task:
    """Some commands that all have to succeed. The first word of each is a tool of .venv."""

    name: str
    about: str
    commands: tuple[tuple[str, ...], ...]
    problem: Callable[[], str | None] = lambda: None
    """Why it cannot run here, if so."""


@dataclass(frozen=True)
class TaskResult:
    """What became of one task."""

    name: str
    outcome: Outcome
    seconds: float
    left_out: tuple[str, ...]
    """Parts of it that did not run, each with its reason."""


def renode_problem() -> str | None:
    """Why nothing can run on Renode here, with the way to one; None where there is one."""
    try:
        find_renode()
    except TargetUnavailable as error:
        return str(error)
    return None


def fuzzer_problem() -> str | None:
    """Why nothing can be fuzzed here, with the way to it; None where it can."""
    missing = [part.name for part in missing_parts(["clang", "libclang-rt-dev"])]
    is_or_are = "is" if len(missing) == 1 else "are"
    return f"{' and '.join(missing)} {is_or_are} not installed: ./hil setup --dev" if missing else None


def _c_files(root: Path) -> list[str]:
    found = (path.relative_to(root).as_posix() for path in (root / "firmware").rglob("*.[ch]"))
    return sorted(set(found) - GENERATED_C)


TASKS: Final = (
    Task(
        "format",
        "the layout of the Python and C code",
        (("ruff", "format", "--check"), ("clang-format", "--dry-run", "-Werror", C_FILES)),
    ),
    Task("lint", "likely mistakes", (("ruff", "check"),)),
    Task("types", "the types of the Python code", (("mypy",),)),
    Task("tests", "everything under tests/", (("pytest", f"--junit-xml={PYTEST_REPORT}", *IN_PROCESSES),)),
    Task(
        "fuzz",
        "the firmware on hostile input, under clang's libFuzzer",
        (("python", "tests/firmware/fuzz.py"),),
        fuzzer_problem,
    ),
    Task(
        "renode",
        "the tests of the firmware once more, on Renode",
        (("pytest", "--renode", f"--junit-xml={PYTEST_REPORT}", "tests/hil"),),
        renode_problem,
    ),
)


def run_tasks(names: Iterable[str], say: Say, *, root: Path = ROOT) -> tuple[TaskResult, ...]:
    """Run the tasks of these names (none: all), in the list's order, each to its end.

    Ends with what was left out and one line that sums up.

    Raises:
        UsageError: there is no task of that name.
    """
    wanted = set(names)
    if unknown := wanted - {task.name for task in TASKS}:
        raise UsageError(
            f"there is no task named {', '.join(sorted(unknown))}.",
            code="unknown_task",
            remedy=f"The tasks are: {', '.join(task.name for task in TASKS)}.",
        )
    results = tuple(_run(task, root, say) for task in TASKS if task.name in wanted or not wanted)
    for result in results:
        for what in result.left_out:
            say(f"left out: {result.name}: {what}")
    if not wanted or "tests" in wanted:
        say(f"left out: tests: {NO_BOARD}")
    say(", ".join(f"{result.name} {result.outcome.value} ({result.seconds:.0f} s)" for result in results))
    return results


def exit_code(results: Iterable[TaskResult]) -> int:
    """0 unless a task failed."""
    return int(any(result.outcome is Outcome.FAILED for result in results))


def _run(task: Task, root: Path, say: Say) -> TaskResult:
    problem = task.problem()
    if problem is not None:
        return TaskResult(task.name, Outcome.LEFT_OUT, 0.0, (problem,))
    say(f"{task.name}: {task.about}")
    start = time.monotonic()
    left_out: list[str] = []
    ran = failed = 0
    for tool, *arguments in task.commands:
        program = Path(sys.executable).with_name(tool)  # the locked version, not one that happens to be on PATH
        if not program.exists():
            left_out.append(f"{tool} is not installed: ./hil setup --dev")
            continue
        report = root / PYTEST_REPORT
        report.unlink(missing_ok=True)
        ran += 1
        command = [str(program)]
        for argument in arguments:
            command += _c_files(root) if argument is C_FILES else [argument]
        failed += _run_to_its_end(command, root) != 0
        left_out += skipped_tests(report)
    outcome = Outcome.FAILED if failed else Outcome.OK if ran else Outcome.LEFT_OUT
    return TaskResult(task.name, outcome, time.monotonic() - start, tuple(left_out))


def _run_to_its_end(command: list[str], root: Path) -> int:
    sys.stdout.flush()  # what we have said comes before what it says
    ends = end_with_us(signal.SIGTERM)
    with subprocess.Popen(command, cwd=root, stdin=subprocess.DEVNULL, preexec_fn=ends) as child:  # noqa: PLW1509
        try:
            return wait_for(child)
        except BaseException as ending:
            if not isinstance(ending, KeyboardInterrupt):  # which a terminal sends to the child as well
                child.send_signal(signal.SIGINT)
            child.wait(TIDY_UP_S)  # pytest stops the emulators that its tests have started
            raise


def skipped_tests(report: Path) -> list[str]:
    """The skips in pytest's XML report, counted by reason; none if it has written no report."""
    if not report.exists():
        return []
    skips = ElementTree.parse(report).iter("skipped")
    reasons = Counter(_reason(skip) for skip in skips if skip.get("type") != "pytest.xfail")
    return [f"{count} test{'s' if count > 1 else ''}: {reason}" for reason, count in reasons.items()]


def _reason(skip: ElementTree.Element) -> str:
    if skip.get("type") is None:  # a whole module: ('tests/test_x.py', 3, 'Skipped: the reason')
        return (skip.text or "").rpartition("Skipped: ")[2].removesuffix("')").removesuffix('")')
    return skip.get("message", "")
