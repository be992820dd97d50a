"""docs/ACCURACY.md is its template with the constants of today, and figures in the places for figures."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.accuracy import __main__ as command
from harness.accuracy.document import DOCUMENT_PATH, deviations


@pytest.fixture(scope="module")
def text() -> str:
    return DOCUMENT_PATH.read_text(encoding="utf-8")


def test_the_document_is_up_to_date(text: str) -> None:
    assert not list(deviations(text)), "run python -m harness.accuracy"


@pytest.mark.parametrize(
    ("constant", "value"),
    [
        ("compare.tolerance.DEFAULT_RTOL", 3e-6),
        ("compare.tolerance.LEAST_ATOL", 6e-7),
        ("compare.tolerance.KERAS_FACTOR", 5),
        ("compare.tolerance.GUARD_SHARE", 0.2),
        ("compare.tolerance.ILL_CONDITIONED", 2e-3),
        ("diagnosis.advice.MARGIN", 3.0),
        ("diagnosis.advice.BATCH_SPREAD", 2e-7),
        ("model.tanh_table.STEP", 1 / 32),
        ("accuracy.activations.NEAR", 12.0),
        ("accuracy.models.SHAPES", ((1, 3),)),
        ("accuracy.float32.PLANTED", (1e-3,)),
        ("accuracy.kernels.WEIGHT_SETS", 1),
        ("accuracy.twins.UNITS", (3, 512)),
    ],
)
def test_a_constant_that_changes_is_seen(
    constant: str, value: object, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"harness.{constant}", value)
    assert list(deviations(text))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("## The rule", "## A rule", "to be '## The rule'"),
        ("| silu |", "| swish |", "'| silu | # | # |'"),
        ("# Accuracy\n", "", "line 1 is ''"),
        ("Each ends in FAIL.\n", "Each ends in FAIL.\nMore.\n", "it has"),
    ],
)
def test_what_was_edited_by_hand_is_said(old: str, new: str, said: str, text: str) -> None:
    found = list(deviations(text.replace(old, new)))
    assert said in found[0]


@pytest.mark.parametrize(("figure", "passes"), [("1.2e-03", True), ("1.25e-03", False), ("nan", False), ("", False)])
def test_a_figure_may_be_another_but_must_be_one(figure: str, passes: bool, text: str) -> None:
    row = next(line for line in text.splitlines() if line.startswith("| tanh |"))
    first = row.split(" | ")[1]
    assert (not list(deviations(text.replace(row, row.replace(first, figure, 1))))) == passes


def test_the_check_says_what_it_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(command, "DOCUMENT_PATH", tmp_path / "ACCURACY.md")
    (tmp_path / "ACCURACY.md").write_text("# Accuracy\n")
    assert command.main(["--check"]) == 1
    assert "ACCURACY.md: it has 1 lines" in capsys.readouterr().out
