"""What many checks come to."""

from __future__ import annotations

from harness.doctor.outcomes import Examination, NotChecked, Outcome, lines_of
from harness.errors import HilError
from harness.findings import found


def raising(error: Exception) -> str:
    raise error


def busy() -> HilError:
    return found("port_busy", port="/dev/ttyACM0", by="minicom (pid 42)")


def test_the_first_finding_is_the_verdict() -> None:
    """The later ones may be its consequences, whatever their class."""
    examination = Examination("board x")
    assert examination.check("disk", lambda: "41 GB free")
    assert not examination.check("open", lambda: raising(busy()))
    assert not examination.check("line", lambda: raising(found("no_openocd")))
    assert not examination.check("chip", lambda: raising(NotChecked("nobody answers")))
    assert examination.exit_code == 3
    assert examination.verdict_line == "FINDING port_busy board x: 2 findings, 1 ok, 1 not checked (exit 3)"
    record = examination.to_json()
    assert (record["finding"], record["exit_code"]) == ("port_busy", 3)
    assert [check["state"] for check in record["checks"]] == ["ok", "finding", "finding", "not_checked"]


def test_an_error_of_the_system_ends_no_examination() -> None:
    examination = Examination("native")
    assert not examination.check("disk", lambda: raising(OSError(28, "No space left on device")))
    assert examination.check("tools", lambda: "there")
    assert examination.findings[0].code == "disk_full"


def test_every_outcome_is_told_at_once() -> None:
    told: list[Outcome] = []
    examination = Examination("native", tell=told.append)
    for look in (lambda: "41 GB free", lambda: raising(busy()), lambda: raising(NotChecked("nobody answers"))):
        examination.check("disk", look)
        assert told[-1] is examination.outcomes[-1]
    assert [line for outcome in told for line in lines_of(outcome)] == [
        "disk         ok       41 GB free",
        "disk         FINDING  port_busy: /dev/ttyACM0 is in use by minicom (pid 42)",
        f"{'':<22}what to do: {busy().remedy}",
        "disk         -        not checked: nobody answers",
    ]
