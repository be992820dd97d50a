"""The task list, with fake tools."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import tasks
from harness.bootstrap.system import PARTS
from harness.errors import UsageError
from harness.tasks import Outcome, TaskResult, exit_code, run_tasks, skipped_tests

REPORT = """<testsuites><testsuite>
<testcase name="a"><skipped type="pytest.skip" message="no board"/></testcase>
<testcase name="b"><skipped type="pytest.skip" message="no board"/></testcase>
<testcase name="c"><skipped type="pytest.xfail" message="known"/></testcase>
<testcase name="d"><skipped message="collection skipped">('test_d.py', 3, 'Skipped: no Renode')</skipped></testcase>
</testsuite></testsuites>"""


@pytest.fixture(autouse=True)
def renode(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a Renode would be; there is none."""
    monkeypatch.setenv("RENODE_PATH", str(tmp_path / "renode"))
    return tmp_path / "renode"


@pytest.fixture
def tools(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A .venv/bin where every tool succeeds and writes down how it was called."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    monkeypatch.setattr(tasks, "missing_parts", lambda names: ())
    for tool in ("ruff", "clang-format", "mypy", "pytest", "python"):
        fake(folder, tool, "exit 0")
    return folder


def fake(folder: Path, tool: str, body: str) -> None:
    (folder / tool).write_text(f'#!/bin/sh\necho "{tool} $*" >> "{folder}/calls"\n{body}\n')
    (folder / tool).chmod(0o755)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("firmware/src/main.c", *tasks.GENERATED_C):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    (tmp_path / ".hil").mkdir()
    return tmp_path


def outcomes(results: tuple[TaskResult, ...]) -> dict[str, Outcome]:
    return {result.name: result.outcome for result in results}


def test_all_in_order(tools: Path, root: Path) -> None:
    said: list[str] = []
    results = run_tasks([], said.append, root=root)
    assert list(outcomes(results)) == ["format", "lint", "types", "tests", "fuzz", "renode"]
    assert exit_code(results) == 0
    calls = (tools / "calls").read_text().splitlines()
    assert calls[1] == "clang-format --dry-run -Werror firmware/src/main.c", "and not the generated header"
    assert calls[-2].startswith("pytest --junit-xml")
    assert calls[-1] == "python tests/firmware/fuzz.py"
    assert said[-1].startswith("format ok")


def test_one_that_fails_stops_no_other(tools: Path, root: Path) -> None:
    fake(tools, "ruff", "exit 1")
    results = run_tasks(["format", "lint", "types"], print, root=root)
    assert outcomes(results) == {"format": Outcome.FAILED, "lint": Outcome.FAILED, "types": Outcome.OK}
    assert exit_code(results) == 1


def test_missing_tools_are_left_out_and_listed(tools: Path, root: Path) -> None:
    (tools / "mypy").unlink()
    (tools / "clang-format").unlink()
    said: list[str] = []
    results = run_tasks([], said.append, root=root)
    assert outcomes(results)["types"] is Outcome.LEFT_OUT
    assert outcomes(results)["format"] is Outcome.OK
    assert exit_code(results) == 0
    assert said[-5:-3] == [
        "left out: format: clang-format is not installed: ./hil setup --dev",
        "left out: types: mypy is not installed: ./hil setup --dev",
    ]
    assert said[-2] == "left out: tests: on a board: none is chosen here: pytest --board=nucleo_f446re"


def test_without_renode_the_run_on_it_is_left_out_with_the_way_to_one(tools: Path, root: Path) -> None:
    said: list[str] = []
    results = run_tasks([], said.append, root=root)
    assert outcomes(results)["renode"] is Outcome.LEFT_OUT
    assert exit_code(results) == 0
    assert said[-3].startswith("left out: renode: RENODE_PATH is")
    assert "hil setup renode" in said[-3]
    assert "renode left out" in said[-1]


def test_without_clang_nothing_is_fuzzed(tools: Path, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "missing_parts", lambda names: tuple(PARTS[name] for name in names))
    said: list[str] = []
    results = run_tasks(["fuzz"], said.append, root=root)
    assert outcomes(results) == {"fuzz": Outcome.LEFT_OUT}
    assert said[0] == "left out: fuzz: clang and libclang-rt-dev are not installed: ./hil setup --dev"
    assert not (tools / "calls").exists()


def test_with_renode_the_tests_of_the_firmware_run_on_it(tools: Path, root: Path, renode: Path) -> None:
    fake(renode.parent, renode.name, "")
    results = run_tasks(["renode"], print, root=root)
    assert outcomes(results) == {"renode": Outcome.OK}
    assert (tools / "calls").read_text().split()[:2] == ["pytest", "--renode"]


def test_skipped_tests_are_listed_by_reason(tools: Path, root: Path) -> None:
    (root / "report.xml").write_text(REPORT)
    fake(tools, "pytest", f'cat report.xml > "{tasks.PYTEST_REPORT}"')
    said: list[str] = []
    run_tasks(["tests"], said.append, root=root)
    assert said[-4:-2] == ["left out: tests: 2 tests: no board", "left out: tests: 1 test: no Renode"]


def test_an_old_report_is_not_taken_for_a_new_one(tools: Path, root: Path) -> None:
    (root / tasks.PYTEST_REPORT).write_text(REPORT)
    (result,) = run_tasks(["tests"], print, root=root)
    assert result.left_out == ()


def test_a_real_report(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        test_a="import pytest\ndef test_a(): pytest.skip('no board')\n@pytest.mark.xfail\ndef test_b(): assert 0",
        test_c="import pytest\npytest.skip('no Renode', allow_module_level=True)",
    )
    pytester.runpytest_subprocess("--junit-xml=report.xml")
    assert sorted(skipped_tests(pytester.path / "report.xml")) == ["1 test: no Renode", "1 test: no board"]


def test_an_unknown_task_is_refused_by_name(tools: Path, root: Path) -> None:
    with pytest.raises(UsageError, match="no task named linf"):
        run_tasks(["linf"], print, root=root)
