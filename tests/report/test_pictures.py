"""The pictures: which ones a run has, and that they are part of a page: its colours, its ids, its text."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

import networks
import seeds
from harness.diagnosis.bisection import Bisection, Place, StepErrors
from harness.model.inputs import Inputs, random_inputs
from harness.model.trace import TraceLevel
from harness.report.figures import Picture
from harness.report.pictures import MOST_LAYERS, pictures_of
from harness.report.svg import VARIABLES
from harness.validation import Validation
from report_runs import made_run, renamed

TITLES = (
    "Error by time step",
    "|Error| over steps and units",
    "Expected and got",
    "Distance in ULP",
    "Saturated gates",
)


def titles(pictures: list[Picture]) -> list[str]:
    return [picture.title.partition(":")[0] for picture in pictures]


def check(pictures: list[Picture]) -> None:
    """Each is sound SVG, in the page's colours, and shares no id with another one."""
    ids: list[str] = []
    for picture in pictures:
        root = ElementTree.fromstring(picture.svg)
        assert root.tag.endswith("svg")
        assert "viewBox" in root.attrib
        assert "height" not in root.attrib
        ids += [element.attrib["id"] for element in root.iter() if "id" in element.attrib]
        tags = "".join(re.findall("<[^>]*>", picture.svg))
        for color, variable in VARIABLES.items():
            assert color not in tags, variable
        assert "var(--ink)" in picture.svg
        assert "mathdefault" not in picture.svg
        assert not re.search(r"(href|src)=\"(?!#|data:image/png;base64,)", picture.svg)
        assert picture.text.endswith(".")
    assert len(ids) == len(set(ids))


def test_a_run_has_all_pictures() -> None:
    pictures = pictures_of(made_run())
    assert titles(pictures) == list(TITLES)
    check(pictures)


def test_a_classifier_has_its_matrix() -> None:
    spec = seeds.rows_of_an_image()
    inputs = replace(random_inputs(spec, batch=6), labels={"output": np.arange(6)})
    pictures = pictures_of(made_run(spec, inputs))
    assert titles(pictures) == [*TITLES, "Confusion matrix"]
    assert "truth" in pictures[-1].text
    check(pictures)


def test_what_was_not_traced_has_no_picture() -> None:
    assert titles(pictures_of(made_run(level=TraceLevel.H))) == list(TITLES)
    none = pictures_of(made_run(level=TraceLevel.NONE))
    assert "output" in none[0].title, "the outputs of each step are all that there is"
    classifier = pictures_of(made_run(seeds.rows_of_an_image(), level=TraceLevel.NONE))
    assert titles(classifier) == ["Distance in ULP", "Saturated gates", "Confusion matrix"]


def test_a_run_without_results_has_none() -> None:
    run = made_run()
    assert pictures_of(Validation(run.model_path)) == []
    run.expected = None
    assert pictures_of(run) == []


def test_traced_gates_are_the_devices_own() -> None:
    run = made_run(level=TraceLevel.GATES)
    traced, computed = pictures_of(run)[4], pictures_of(made_run())[4]
    assert "traced on the device" in traced.text
    assert "float64 reference" in computed.text


def every(value: float) -> Callable[[dict[str, Any]], None]:
    def change(got: dict[str, Any]) -> None:
        for array in got.values():
            array[...] = value

    return change


@pytest.mark.parametrize("change", [every(np.nan), every(np.inf), every(0), every(3e38)])
def test_no_value_is_too_odd_to_be_drawn(change: Callable[[dict[str, Any]], None]) -> None:
    pictures = pictures_of(made_run(change=change))
    assert titles(pictures) == list(TITLES)
    check(pictures)


def test_equal_values_are_drawn() -> None:
    run = made_run()
    assert run.expected is not None
    run.got = dict(run.expected.tensors)
    check(pictures_of(run))


@pytest.mark.parametrize(("units", "batch", "steps"), [(1, 1, 1), (1, 3, 2), (300, 1, 400)])
def test_small_and_large(units: int, batch: int, steps: int) -> None:
    spec = seeds.random_lstm(2, units)
    pictures = pictures_of(made_run(spec, random_inputs(spec, batch, steps)))
    check(pictures)
    assert sum(len(picture.svg) for picture in pictures) < 500_000


@pytest.mark.parametrize("name", ['<script>"&', "$x^{2}$", 'id="a" #010101', "Größe_層", "\x1b[31m", "a" * 300])
def test_a_layers_name_is_only_text(name: str) -> None:
    pictures = pictures_of(made_run(renamed(seeds.random_lstm(2, 3), name)))
    check(pictures)
    assert not any("<script" in picture.svg for picture in pictures)


def test_text_stays_text() -> None:
    root = ElementTree.fromstring(pictures_of(made_run())[0].svg)
    words = {element.text for element in root.iter() if element.tag.endswith("text")}
    assert {"time step", "|error| of h", "largest", "atol"} <= words


def test_of_many_layers_the_worst_are_shown() -> None:
    names = [f"lstm_{place}" for place in range(MOST_LAYERS + 2)]
    nodes = [networks.lstm(3, 3, place - 1 if place else None, name) for place, name in enumerate(names)]

    def change(got: dict[str, Any]) -> None:
        got["lstm_5.h"][0, 0, 0] += 1

    pictures = pictures_of(made_run(networks.network("deep", *nodes), change=change))
    shown = [picture.title for picture in pictures if picture.title.startswith("Error")]
    assert len(shown) == MOST_LAYERS
    assert "Error by time step: lstm_5" in shown


def test_each_step_on_its_own_is_shown_where_it_is_known() -> None:
    first = Place("lstm.h", "lstm", None, 2, 5, 1, None, 0.5, 1.5, 1e5)
    steps = tuple(StepErrors(step, 10.0 ** (step - 8), None if step == 8 else 1e-8) for step in range(9))
    run = made_run()
    run.bisection = Bisection(first, "accumulated", steps)
    (picture, *_) = pictures_of(run)
    assert picture.title == "Steps on their own: lstm"
    assert "each step on its own" in picture.svg
    assert "Sequence 2." in picture.text
    check([picture])
    run.bisection = Bisection(first, "unknown")
    assert titles(pictures_of(run)) == list(TITLES)


@pytest.mark.parametrize("error", [1e-8, 0.0])
def test_steps_on_their_own_of_a_pass_show_no_wrong_step(error: float) -> None:
    nearest = Place("lstm.h", "lstm", 1, 2, 1, 1, None, 0.5, 0.5, 0.2)
    run = made_run()
    run.bisection = Bisection(nearest, "none", tuple(StepErrors(step, error, error) for step in range(3)))
    (picture, *_) = pictures_of(run)
    assert "worst step" in picture.svg
    assert "first wrong step" not in picture.svg
    assert ("no error at all" in picture.text) == (error == 0)
    assert "Sequence 2 of call 1, in which a value is nearest to its tolerance." in picture.text
    check([picture])


def test_calls_are_one_time() -> None:
    spec = replace(seeds.random_lstm(2, 3), nodes=(seeds.random_lstm_node(2, 3, stateful=True, name="lstm"),))
    x = np.random.default_rng(1).standard_normal((3, 2, 5, 2)).astype(np.float32)
    pictures = pictures_of(made_run(spec, Inputs(x, reset_before=np.array([False, True, False]))))
    assert titles(pictures) == list(TITLES)
    assert all("calls follow each other" in picture.text for picture in pictures[:3])
    check(pictures)
