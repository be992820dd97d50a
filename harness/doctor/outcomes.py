"""What came of the checks, one after another, and the verdict."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from harness.errors import ExitCode, HilError
from harness.findings.writing import machine_error

SCHEMA = "lstm-hil/doctor/1"

State = Literal["ok", "finding", "not checked"]


class NotChecked(Exception):
    """A check that cannot be made here, or need not; its text says why."""


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        check: its name.
        state: ok, finding or not checked.
        text: what was seen, or why nothing was.
        error: the finding; None unless it is one.
        board: which one it is about; empty where it is about the machine, or there is only one.
    """

    check: str
    state: State
    text: str
    error: HilError | None = None
    board: str = ""


@dataclass
class Examination:
    """All checks of one rig.

    Attributes:
        target: what is examined, as the verdict names it.
        board: which of several boards the next checks are about.
        outcomes: in the order in which the checks were made: what others rest on first.
        tell: told each outcome at once.
    """

    target: str
    outcomes: list[Outcome] = field(default_factory=list)
    tell: Callable[[Outcome], None] = lambda _: None
    board: str = ""

    def check(self, name: str, look: Callable[[], str]) -> bool:
        """Make a check; whether all is well.

        Args:
            name: of the check.
            look: what it does: gives what it saw, or raises a finding or NotChecked.
        """
        try:
            outcome = Outcome(name, "ok", look(), board=self.board)
        except NotChecked as reason:
            outcome = Outcome(name, "not checked", str(reason), board=self.board)
        except HilError as error:
            outcome = Outcome(name, "finding", error.message, error, self.board)
        except OSError as error:
            found = machine_error(error)
            outcome = Outcome(name, "finding", found.message, found, self.board)
        self.outcomes.append(outcome)
        self.tell(outcome)
        return outcome.state == "ok"

    @property
    def findings(self) -> list[HilError]:
        """All findings; the first is the cause, since later checks rest on earlier ones."""
        return [outcome.error for outcome in self.outcomes if outcome.error is not None]

    @property
    def exit_code(self) -> ExitCode:
        """That of the first finding."""
        return self.findings[0].exit_code if self.findings else ExitCode.PASS

    @property
    def verdict_line(self) -> str:
        """`FINDING port_busy board nucleo_f446re: 1 finding, 5 ok, 4 not checked (exit 3)`."""
        counts = {state: sum(o.state == state for o in self.outcomes) for state in ("finding", "ok", "not checked")}
        plural = "" if counts["finding"] == 1 else "s"
        summed = f"{counts['finding']} finding{plural}, {counts['ok']} ok, {counts['not checked']} not checked"
        head = f"FINDING {self.findings[0].code}" if self.findings else "HEALTHY"
        return f"{head} {self.target}: {summed} (exit {int(self.exit_code)})"

    def to_json(self) -> dict[str, Any]:
        """The record."""
        return {
            "schema": SCHEMA,
            "verdict": "FINDING" if self.findings else "HEALTHY",
            "exit_code": int(self.exit_code),
            "finding": self.findings[0].code if self.findings else None,
            "target": self.target,
            "checks": [
                {
                    "name": outcome.check,
                    "state": outcome.state.replace(" ", "_"),
                    "text": outcome.text,
                    "board": outcome.board or None,
                    "finding": _finding(outcome.error),
                }
                for outcome in self.outcomes
            ],
        }


def lines_of(outcome: Outcome) -> list[str]:
    """The lines that a person sees."""
    head = f"{outcome.check:<12} "
    if outcome.error is None:
        return [f"{head}{'ok' if outcome.state == 'ok' else '-':<8} {_shown(outcome)}"]
    lines = [f"{head}FINDING  {outcome.error.code}: {outcome.error.message}"]
    return [*lines, f"{'':<22}what to do: {outcome.error.remedy}"] if outcome.error.remedy else lines


def _shown(outcome: Outcome) -> str:
    return outcome.text if outcome.state == "ok" else f"not checked: {outcome.text}"


def _finding(error: HilError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    return {
        "id": error.code,
        "exit_code": int(error.exit_code),
        "fault": error.fault,
        "message": error.message,
        "remedy": error.remedy,
    }
