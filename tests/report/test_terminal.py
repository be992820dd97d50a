"""What is printed, to a pipe and to a terminal."""

from __future__ import annotations

import pytest
from rich.table import Table

from harness.report.terminal import make_console


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
