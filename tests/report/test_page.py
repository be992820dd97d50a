"""The page: answers first, nothing from outside, nothing that runs, and no word that the record does not hold."""

from __future__ import annotations

import html
import math
import os
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seeds
from harness.diagnosis.bisection import Bisection, Place, Stage
from harness.errors import LinkTimeout
from harness.model.inputs import random_inputs
from harness.model.trace import TraceLevel
from harness.report.page import index_page, report_page
from harness.report.pictures import pictures_of
from harness.validation import Validation
from report_runs import made_run, record, renamed
from report_schema import check_record

VOID = {"meta", "br", "hr", "link"}


class Page(HTMLParser):
    """Reads a page: every element is closed, and what it refers to is in it."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.tags: set[str] = set()
        self._open: list[str] = []
        self.feed(source)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag not in VOID:
            self._open.append(tag)
        for name, value in attrs:
            assert not name.startswith("on"), "no code"
            if name in ("src", "href", "xlink:href", "action"):
                assert value is not None
                assert value.startswith(("#", "data:image/png;base64,")) or value.endswith("/report.html")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words.append(" ".join(data.split()))

    @property
    def text(self) -> str:
        return " ".join(word for word in self.words if word)


def leaves(tree: Any) -> list[Any]:
    if isinstance(tree, dict):
        return [leaf for value in tree.values() for leaf in leaves(value)]
    if isinstance(tree, list):
        return [leaf for value in tree for leaf in leaves(value)]
    return [tree]


def add_one(got: dict[str, Any]) -> None:
    got["lstm.h"][2, 5, 1] += 1


def test_a_pass_says_so_first() -> None:
    run = made_run()
    page = Page(report_page(record(run), pictures_of(run)))
    assert page.text.index("PASS") < page.text.index("All ") < page.text.index("What was compared")
    assert "values of 5 tensors are within their tolerance" in page.text
    assert "4 sequences x 9 steps x 3 features, random, seed 0" in page.text
    assert "Keras itself is up to" in page.text
    assert page.text.index("Where the tolerance comes from") < page.text.index("Pictures")
    assert not page.tags & {"script", "iframe", "object", "img", "link", "form"}


def test_a_failure_says_where_and_how_much() -> None:
    run = made_run(change=add_one)
    text = Page(report_page(record(run), pictures_of(run))).text
    assert "1 of 580 values are beyond their tolerance, in 1 of 5 tensors, the first at time step 5." in text
    assert "lstm.h, seq 2 step 5 unit 1: expected" in text
    assert "times what is allowed there" in text


def test_a_gate_has_its_name_wherever_a_place_is_told() -> None:
    def change(got: dict[str, Any]) -> None:
        got["lstm.z"][2, 5, 2 * 5 + 1] += 1  # of five units

    run = made_run(change=change, level=TraceLevel.GATES)
    of_run, place = record(run), "seq 2 step 5 gate c unit 1"
    check_record(of_run)
    assert f"lstm.z, {place}: expected" in Page(report_page(of_run)).text
    assert f"lstm.z beyond tolerance at {place}: expected" in run.summary
    (tensor,) = (each for each in of_run["tensors"] if each["name"] == "lstm.z")
    assert (tensor["worst"]["gate"], tensor["worst"]["unit"]) == ("c", 1)


def test_a_nan_on_one_side_needs_no_number() -> None:
    def change(got: dict[str, Any]) -> None:
        got["lstm.h"][2, 5, 1] = np.nan

    text = Page(report_page(record(made_run(change=change)))).text
    assert "got NaN" in text
    assert "no tolerance allows that" in text


def test_where_no_error_is_allowed() -> None:
    of_run = record(made_run(change=add_one))
    for tensor in of_run["tensors"]:
        tensor["share"] = "Infinity"
    assert "and none is allowed there" in Page(report_page(of_run)).text


def test_an_error_says_who_and_what_to_do() -> None:
    run = Validation(Path("m.keras"))
    run.error = LinkTimeout("no answer to Run within 31 s", remedy="look for a loose cable")
    page = Page(report_page({**record(run), "link_record": "link.record"}))
    for words in (
        "ERROR",
        "No verdict",
        "no answer to Run",
        "look for a loose cable",
        "cable",
        "hil replay link.record",
    ):
        assert words in page.text
    assert "Pictures" not in page.text


def test_where_and_why_are_shown_above_the_numbers() -> None:
    found = {
        "name": "swap_gates_f_c",
        "layer": None,
        "of": "device",
        "residual": 2e-7,
        "share": 0.1,
        "text": "matches within 2e-7 if ...",
    }
    first = Place("lstm.h", "lstm", None, 2, 5, 1, None, 0.5, 1.5, 1e5)
    stages = (
        Stage("sum", "f", 1, 1e-3, 9e3, 16.0, 0.25, 0.251),
        Stage("activation", None, 1, 1e-8, 1.0, 16.0, 0.5, 0.5),
    )
    run = made_run(change=add_one)
    run.bisection = Bisection(first, "local", (), stages)
    text = Page(report_page({**record(run), "diagnosis": [found]})).text
    assert "Matches within 2e-7 if ... Name: swap_gates_f_c." in text
    assert text.index("swap_gates_f_c") < text.index("What was compared")
    assert "First beyond tolerance is seq 2 step 5 unit 1 of lstm.h" in text
    assert "sum f 1 0.25 0.251 0.001 9e+03 16 wrong" in text
    assert "activation - 1 0.5 0.5 1e-08 1 16 right" in text


def test_every_field_of_the_record_is_there() -> None:
    inputs = random_inputs(seeds.rows_of_an_image(), batch=3)
    of_run = record(made_run(seeds.rows_of_an_image(), inputs))
    text = Page(report_page(of_run)).text
    for name, part in of_run.items():
        if name in ("tensors", "classification", "verdict", "bisect"):
            continue
        for leaf in leaves(part):
            if isinstance(leaf, str):
                assert leaf in text, (name, leaf)
            elif isinstance(leaf, int) and not isinstance(leaf, bool):
                assert str(leaf) in text, (name, leaf)


def test_classes_are_told() -> None:
    spec = seeds.rows_of_an_image()
    text = Page(report_page(record(made_run(spec, random_inputs(spec, batch=3))))).text
    assert "device against Keras 3 3 100.0%" in text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "a\x00b\x1b[31m", "{{ 7 * 7 }}", "&amp;"])
def test_a_hostile_name_is_only_text(name: str) -> None:
    run = made_run(renamed(seeds.random_lstm(2, 3), name))
    run.model_path = Path(f"{name.replace('/', '_')}.keras")
    source = report_page(record(run), pictures_of(run))
    assert "\x00" not in source
    assert "\x1b" not in source
    page = Page(source)
    assert "script" not in page.tags
    if "\x00" not in name:
        assert f"{name}.h" in page.text


def test_the_page_follows_the_reader() -> None:
    source = report_page(record(made_run()))
    for rule in ("prefers-color-scheme: dark", "@media print", "width=device-width"):
        assert rule in source


def test_the_page_is_small() -> None:
    spec = seeds.random_lstm(8, 128)
    run = made_run(spec, random_inputs(spec, batch=1, steps=200))
    assert len(report_page(record(run), pictures_of(run))) < 2_000_000


def test_an_index_leads_to_all() -> None:
    good, bad = record(made_run()), record(made_run(change=add_one))
    page = Page(source := index_page({"a": good, "b c&d": bad}))
    assert page.text.startswith("1 PASS, 1 FAIL")
    assert 'href="a/report.html"' in source
    assert 'href="b%20c%26d/report.html"' in source
    assert html.escape("b c&d") in source
    assert "no runs" in Page(index_page({})).text


def test_an_index_leads_to_a_folder_whose_name_is_no_utf_8() -> None:
    assert 'href="Pr%FCf/report.html"' in index_page({os.fsdecode(b"Pr\xfcf"): record(made_run())})


def test_a_share_beyond_all_is_a_word() -> None:
    of_run = record(made_run())
    of_run["tensors"][0]["share"] = "Infinity"
    assert math.isinf(float(of_run["tensors"][0]["share"]))
    assert "infinite" in Page(report_page(of_run)).text


def test_the_measures_of_each_tensor() -> None:
    text = Page(report_page(record(made_run()))).text
    assert "RMSE MAE mean std l2r NSE cos beyond tolerance first step beyond" in text
    assert "of what is allowed there; " in text
    assert "of it is left." in text
    failed = record(made_run(change=add_one))
    (wrong,) = [each for each in failed["tensors"] if each["beyond"]]
    text = Page(report_page(failed)).text
    assert f"1 ({100 / wrong['elements']:.3g} %) 5" in text
    assert "is left" not in text
