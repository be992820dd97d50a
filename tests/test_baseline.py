"""Baselines: the file, what counts as worse, `hil bench --baseline`, and our own kernels against theirs."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.baseline import (
    DEFAULT_PERCENT,
    FIGURES,
    OF_ANY_COMPILER,
    SCHEMA,
    AnyKey,
    Baseline,
    Entry,
    Key,
    ModelKey,
    baseline_text,
    compare_with,
    entry_of,
    read_baseline,
)
from harness.bootstrap.system import missing_parts
from harness.cli.app import run
from harness.errors import UsageError
from report_schema import check_record

OWN = Path(__file__).parent / "baselines" / "kernels.json"
KEY = Key("qemu", 28, 75, "packed")
MODEL_KEY = ModelKey("qemu", "m.keras", "packed", "hc")
GOLDEN = Path(__file__).parent / "golden" / "v1.golden"
GCC = "GCC 12.2.1"


def baseline(**figures: float) -> Baseline:
    return Baseline(2.0, {KEY: Entry(GCC, figures)})


def measured(**figures: float) -> dict[AnyKey, Entry]:
    return {KEY: Entry(GCC, figures)}


def test_what_is_worse_is_told_with_how_much() -> None:
    found = compare_with(baseline(instructions_per_step=1000.0), measured(instructions_per_step=1021.0))
    (worse,) = found.worse
    assert str(worse) == "packed 28,75 on qemu: instructions_per_step 1000 -> 1021, 2.1 % more"
    assert (found.compared, found.better, found.notes) == (1, (), ())


@pytest.mark.parametrize(
    ("now", "percent", "slack", "worse", "better"),
    [
        (1020.0, None, 0.0, 0, 0),
        (1021.0, None, 0.0, 1, 0),
        (1021.0, None, 1.5, 0, 0),
        (1021.0, 3.0, 0.0, 0, 0),
        (1000.1, 0.0, 0.0, 1, 0),
        (980.0, None, 0.0, 0, 0),
        (979.0, None, 0.0, 0, 1),
    ],
)
def test_how_much_is_allowed(now: float, percent: float | None, slack: float, worse: int, better: int) -> None:
    before, after = baseline(instructions_per_step=1000.0), measured(instructions_per_step=now)
    found = compare_with(before, after, percent, {"instructions_per_step": slack})
    assert (len(found.worse), len(found.better)) == (worse, better)


def test_every_figure_is_compared() -> None:
    found = compare_with(baseline(**dict.fromkeys(FIGURES, 1.0)), measured(**dict.fromkeys(FIGURES, 2.0)))
    assert [each.name for each in found.worse] == list(FIGURES)
    from_nothing = compare_with(baseline(max_abs_error_h=0.0), measured(max_abs_error_h=1e-9))
    assert "inf % more" in str(from_nothing.worse[0])


def test_another_compiler_is_told_and_only_what_it_cannot_change_is_compared() -> None:
    after: dict[AnyKey, Entry] = {KEY: Entry("GCC 15", dict.fromkeys(FIGURES, 2.0))}
    found = compare_with(baseline(**dict.fromkeys(FIGURES, 1.0)), after)
    assert [each.name for each in found.worse] == list(OF_ANY_COMPILER)
    (note,) = found.notes
    assert "GCC 12.2.1" in note
    assert "GCC 15" in note


def test_errors_of_other_values_say_nothing() -> None:
    figures = {"max_abs_error output": 1e-7, "work_bytes": 100.0}
    before = Baseline(2.0, {MODEL_KEY: Entry(GCC, figures, "0c1d")})
    worse = {name: 2 * figure for name, figure in figures.items()}
    found = compare_with(before, {MODEL_KEY: Entry(GCC, worse, "0c1d")})
    assert [each.name for each in found.worse] == ["max_abs_error output", "work_bytes"]
    found = compare_with(before, {MODEL_KEY: Entry(GCC, worse, "ffff")})
    assert [each.name for each in found.worse] == ["work_bytes"]
    assert found.notes == (
        "m.keras by packed on qemu, trace hc: errors are not compared: the baseline is of other weights or inputs",
    )


def test_ticks_over_another_mask_say_nothing() -> None:
    before = Baseline(2.0, {MODEL_KEY: Entry(GCC, {"instructions_per_step": 100.0}, "0c1d", "beef")})
    figures = {"instructions_per_step": 153.0}
    found = compare_with(before, {MODEL_KEY: Entry(GCC, figures, "ffff")})
    assert (found.compared, found.worse) == (0, ())
    assert "another mask" in " ".join(found.notes)
    found = compare_with(before, {MODEL_KEY: Entry(GCC, figures, "ffff", "beef")})
    assert [each.name for each in found.worse] == ["instructions_per_step"]


def test_a_figure_of_one_side_only_is_told() -> None:
    found = compare_with(baseline(flash_bytes=1.0, stack_bytes=5.0), measured(stack_bytes=5.0, cycles_per_step=2.0))
    assert found.compared == 1
    assert found.notes == (
        "packed 28,75 on qemu: not in the baseline: cycles_per_step",
        "packed 28,75 on qemu: not in this run: flash_bytes",
    )


def test_an_entry_of_an_earlier_version_is_refused_with_what_to_do(tmp_path: Path) -> None:
    content = json.loads(baseline_text(Baseline(2.0, {MODEL_KEY: Entry(GCC, {"work_bytes": 1.0}, "0c1d")})))
    del content["entries"][0]["trace"]
    path = tmp_path / "b.json"
    path.write_text(json.dumps(content))
    with pytest.raises(UsageError, match="earlier version") as refused:
        read_baseline(path)
    assert "measure anew" in (refused.value.remedy or "")


def test_what_is_not_there_is_told() -> None:
    found = compare_with(Baseline(2.0, {}), measured(instructions_per_step=1.0))
    assert found.notes == ("packed 28,75 on qemu: not in the baseline",)
    assert found.compared == 0


def test_a_file_comes_back_with_an_entry_a_line(tmp_path: Path) -> None:
    path = tmp_path / "b.json"
    other = Key("nucleo_f446re", 1, 3, "arm_math")
    of_model = Entry(GCC, {"max_abs_error lstm.h": 1e-8, "work_bytes": 100}, "0c1d", "beef")
    written = baseline(instructions_per_step=1000.5).updated(
        {MODEL_KEY: of_model, other: Entry("GCC 9", {"cycles_per_step": 7})}
    )
    path.write_text(baseline_text(written))
    assert read_baseline(path) == written
    assert len(path.read_text().splitlines()) == 5
    again = written.updated(measured(instructions_per_step=3.0))
    assert again.entries[other] == written.entries[other]
    assert again.entries[KEY].figures == {"instructions_per_step": 3.0}


def test_an_entry_has_what_was_measured() -> None:
    row = {"kernel": "packed", "cycles_per_step": None, "stack_bytes": 500, "flash_bytes": 1}
    assert entry_of(GCC, row) == Entry(GCC, {"stack_bytes": 500, "flash_bytes": 1})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


OF_FILE = ["schema", "percent", "entries"]
OF_ENTRY = ["target", "kernel", "units", "model", "trace", "values", "mask", "compiler", "figures"]


@given(st.sampled_from(OF_FILE + OF_ENTRY), st.integers(0, 1), JSON)
def test_a_file_of_anything_is_a_baseline_or_a_usage_error(
    tmp_path_factory: pytest.TempPathFactory, place: str, entry: int, value: Any
) -> None:
    of_model: dict[AnyKey, Entry] = {MODEL_KEY: Entry(GCC, {"max_abs_error output": 1e-7}, "0c1d")}
    content = json.loads(baseline_text(baseline(instructions_per_step=1.0).updated(of_model)))
    (content if place in content else content["entries"][entry])[place] = value
    path = tmp_path_factory.mktemp("baseline") / "b.json"
    path.write_text(json.dumps(content))
    try:
        found = read_baseline(path)
    except UsageError as error:
        assert error.code == "baseline_unreadable"  # noqa: PT017 - either is right
    else:
        compare_with(found, measured(instructions_per_step=1.0))


@pytest.mark.parametrize("content", ["", "[]", "{}", "[" * 100_000, f'{{"schema": "{SCHEMA}"}}', "\x00"])
def test_what_is_no_baseline_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "b.json"
    path.write_text(content)
    with pytest.raises(UsageError):
        read_baseline(path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "b.json")
    with pytest.raises(UsageError, match="no regular file"):
        read_baseline(tmp_path / "b.json")


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path = tmp_path / "new" / "b.json"
    bench = ["bench", "--native", "--shape", "2,3", "--baseline", str(path)]
    assert run(bench) == 2
    assert "--update-baseline" in capsys.readouterr().err
    assert run([*bench, "--update-baseline"]) == 0
    assert read_baseline(path).percent == DEFAULT_PERCENT
    assert run(bench) == 0
    assert capsys.readouterr().out.splitlines()[-1].startswith("BASELINE PASS b.json: 0 of ")
    content = json.loads(path.read_text())
    for entry in content["entries"]:
        entry["figures"]["static_ram_bytes"] -= 8
    path.write_text(json.dumps(content))
    assert run(bench) == 1
    output = capsys.readouterr().out
    assert "worse   packed 2,3 on native: static_ram_bytes" in output
    assert output.splitlines()[-1].startswith("BASELINE FAIL b.json: 3 of ")
    assert run([*bench, "--baseline-percent", "50"]) == 0
    assert run([*bench, "--update-baseline"]) == 0
    more = ["bench", "--native", "--shape", "1,1", "--baseline", str(path)]
    assert run(more) == 0
    assert "note    packed 1,1 on native: not in the baseline" in capsys.readouterr().out
    assert run([*more, "--baseline-strict"]) == 1


def test_a_model_and_its_baseline(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path = tmp_path / "b.json"
    validate = ["validate", str(GOLDEN), "--native", "--baseline", str(path)]
    assert run([*validate, "--update-baseline"]) == 0
    ((key, entry),) = read_baseline(path).entries.items()
    assert str(key) == "v1.golden by packed on native, trace gates"
    assert 0 < entry.figures["max_abs_error both.forward.h_last"] < 1e-6
    assert entry.figures["image_bytes"] > 4 * 342
    assert run(validate) == 0
    count = len(entry.figures)
    said = f"BASELINE PASS b.json: 0 of {count} figures worse by more than 2 %, 0 entries not compared in full"
    assert capsys.readouterr().out.splitlines()[-1] == said
    assert run([*validate, "--trace", "hc", "--baseline-strict"]) == 1
    assert "note    v1.golden by packed on native, trace hc: not in the baseline" in capsys.readouterr().out
    content = json.loads(path.read_text())
    content["entries"][0]["figures"]["max_abs_error output"] /= 2
    path.write_text(json.dumps(content))
    assert run(validate) == 1
    assert "worse   v1.golden by packed on native, trace gates: max_abs_error output" in capsys.readouterr().out


def test_a_model_may_have_any_name(tmp_path: Path) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path, odd = tmp_path / "b.json", tmp_path / os.fsdecode(b"Pr\xfcf.golden")
    shutil.copy(GOLDEN, odd)
    assert run(["validate", str(odd), "--native", "--trace", "none", "--baseline", str(path), "--update-baseline"]) == 0
    assert [str(key).split()[0] for key in read_baseline(path).entries] == ["Pr\\udcfcf.golden"]


def test_a_model_that_is_worse_fails_in_all_that_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path, record, report = tmp_path / "b.json", tmp_path / "r.json", tmp_path / "report"
    validate = ["validate", str(GOLDEN), "--native", "--baseline", str(path), "--json", str(record)]
    assert run([*validate, "--update-baseline"]) == 0
    assert json.loads(record.read_text())["baseline"] is None
    assert run(validate) == 0
    told = json.loads(record.read_text())
    check_record(told)
    assert (told["verdict"], told["baseline"]["verdict"]) == ("PASS", "PASS")
    content = json.loads(path.read_text())
    content["entries"][0]["figures"]["work_bytes"] -= 100
    path.write_text(json.dumps(content))
    capsys.readouterr()
    assert run([*validate, "--report", str(report)]) == 1
    assert "FAIL v1.golden: 1 of " in capsys.readouterr().out
    told = json.loads(record.read_text())
    check_record(told)
    assert (told["verdict"], told["exit_code"], told["baseline"]["verdict"]) == ("FAIL", 1, "FAIL")
    assert [each["figure"] for each in told["baseline"]["worse"]] == ["work_bytes"]
    assert all(tensor["pass"] for tensor in told["tensors"])
    assert json.loads((report / "report.json").read_text())["verdict"] == "FAIL"
    junit = ElementTree.parse(report / "junit.xml")
    assert [each.get("message") for each in junit.iter("failure")] == [told["summary"]]
    assert "work_bytes" in told["summary"]
    page = (report / "report.html").read_text()
    assert "worse than its baseline allows" in page
    assert "Against the baseline" in page
    content["entries"] = []
    path.write_text(json.dumps(content))
    assert run([*validate, "--baseline-strict"]) == 1
    assert "not in the baseline" in json.loads(record.read_text())["summary"]


def test_a_model_that_failed_is_no_baseline(tmp_path: Path) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    path, expected = tmp_path / "b.json", tmp_path / "y.npz"
    np.savez(expected, output=np.full((2, 2), 9.0))
    arguments = ["validate", str(GOLDEN), "--native", "--baseline", str(path), "--update-baseline"]
    assert run([*arguments, "--expected", str(expected)]) == 1
    assert not read_baseline(path).entries


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--update-baseline"], "--baseline FILE"),
        (["--baseline", "none.json"], "none.json"),
        (["--baseline", str(OWN), "--resume", "--json", "r.json"], "--resume and --baseline"),
        (["--baseline", str(OWN), str(GOLDEN)], "two models are named v1.golden"),
        (["--baseline", "b.json", "--json", "b.json"], "b.json would be written over"),
        (["--baseline", "new.json", "--update-baseline", "--record", "new.json"], "new.json would be written over"),
    ],
)
def test_usage_errors_of_validate(options: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["validate", str(GOLDEN), "--native", *options]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--update-baseline"], "--baseline FILE"),
        (["--baseline-percent", "3"], "--baseline FILE"),
        (["--baseline", str(OWN), "--baseline-percent", "-1"], "--baseline-percent"),
        (["--baseline", str(OWN), "--update-baseline", "--baseline-strict"], "both given"),
        (["--baseline", str(OWN), "--link"], "both given"),
        (["--baseline", "b.json", "--json", "b.json"], "b.json would be written over"),
        (["--baseline", "none.json"], "none.json"),
    ],
)
def test_usage_errors_come_before_anything_is_measured(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["bench", "--qemu", *options]) == 2
    assert said in capsys.readouterr().err


def test_our_kernels_are_no_worse_than_they_were(capsys: pytest.CaptureFixture[str]) -> None:
    """Two shapes are enough to see a kernel get slower; `hil bench --baseline` without --shape has all of the file."""
    if missing := missing_parts(("gcc-arm-none-eabi", "libnewlib-arm-none-eabi", "qemu-system-arm")):
        pytest.skip(f"qemu: {missing[0].name} is not installed")
    assert run(["bench", "--qemu", "--shape", "1,3", "--shape", "16,32", "--baseline", str(OWN)]) == 0
    output = capsys.readouterr().out
    assert "not in the baseline" not in output
    if "are not compared" not in output:  # another compiler than that of the file
        assert " of 36 figures worse" in output
