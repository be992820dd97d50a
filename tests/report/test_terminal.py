"""What is printed, to a pipe and to a terminal."""

from __future__ import annotations

import re
from io import StringIO

import pytest
from rich.table import Table

from harness.report.tensor_table import print_tensors, tensor_table
from harness.report.terminal import make_console
from report_runs import made_run


@pytest.mark.parametrize("is_terminal", [False, True])
def test_no_line_of_a_table_ends_in_blanks(
    is_terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("FORCE_COLOR" if is_terminal else "NO_COLOR", "1")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("short")
    table.add_column("long", no_wrap=True)
    table.add_row("[bold red]a[/]", "b")
    table.add_row("c", "[bold]d[/] " + "e" * 100)
    table.add_row("", "")
    make_console().print(table)
    out = capsys.readouterr().out
    assert ("\x1b[" in out) == is_terminal
    plain = out.replace("\x1b[1;31m", "").replace("\x1b[1m", "").replace("\x1b[0m", "")
    assert plain.splitlines() == ["short  long", "a      b", "c      d " + "e" * 100, ""]


class Terminal(StringIO):
    """What a person looks at."""

    def isatty(self) -> bool:
        return True


TITLES = ["tensor", "shape", "max abs", "allowed there", "max rel", "max ULP", "RMSE", "worst at"]


@pytest.mark.parametrize(
    ("file", "narrower", "left_out"),
    [
        (Terminal(), 0, []),
        (Terminal(), 1, ["RMSE"]),
        (Terminal(), 10, ["RMSE", "max rel"]),
        (Terminal(), 60, ["RMSE", "max rel", "shape", "max ULP"]),
        (StringIO(), 60, []),
    ],
    ids=["wide", "less", "narrow", "too narrow", "pipe"],
)
def test_a_narrow_terminal_is_spared_the_columns_that_tell_least(
    file: StringIO, narrower: int, left_out: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console, results = make_console(), made_run().results
    columns = console.measure(tensor_table(results)).maximum - narrower
    monkeypatch.setenv("COLUMNS", str(columns))
    console.file = file
    print_tensors(console, results)
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in file.getvalue().splitlines()]
    assert [title for title in TITLES if title not in lines[0]] == sorted(left_out, key=TITLES.index)
    table, rest = lines[: 1 + len(results)], lines[1 + len(results) :]
    assert (max(map(len, table)) <= columns) == (narrower < 60)
    assert all(line.endswith("ok") and result.place in line for line, result in zip(table[1:], results, strict=True))
    assert rest == ([f"        no room for {', '.join(left_out)}: --json has them"] if left_out else [])


def test_a_usual_table_fits_a_usual_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    console, file = make_console(), Terminal()
    console.file = file
    print_tensors(console, made_run().results)
    assert max(len(re.sub(r"\x1b\[[0-9;]*m", "", line)) for line in file.getvalue().splitlines()) <= 80
