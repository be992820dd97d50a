"""Classes: three comparisons, the truth that is known for some, and rows that have no class."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from harness.compare.classes import MOST_CLASSES, Classes, Row, check_labels, classify
from harness.errors import InputsRefused

KERAS = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]], np.float32)
DEVICE = np.array([[0.8, 0.1, 0.1], [0.2, 0.1, 0.7], [0.1, 0.2, 0.7], [0.4, 0.5, 0.1]], np.float32)
TRUTH = np.array([0, 1, 2, 2])


def rows_of(*arrays: Any, labels: Any = None, classifiers: tuple[str, ...] = ("output",)) -> dict[str, Row]:
    expected, got = arrays
    given = {} if labels is None else {"output": labels}
    (classes,) = classify({"output": expected}, {"output": got}, given, classifiers)
    return {row.name: row for row in classes.rows}


def test_three_rows() -> None:
    rows = rows_of(KERAS, DEVICE, labels=TRUTH)
    assert {name: (row.right, row.samples) for name, row in rows.items()} == {
        "device_vs_truth": (2, 4),
        "keras_vs_truth": (3, 4),
        "device_vs_keras": (3, 4),
    }
    device = rows["device_vs_truth"].counts
    assert device is not None
    assert device.tolist() == [[1, 0, 0], [0, 0, 1], [0, 1, 1]], "rows are the truth, columns what the device says"


def test_without_a_truth_there_is_one_row() -> None:
    assert list(rows_of(KERAS, DEVICE)) == ["device_vs_keras"]


def test_labels_make_a_classifier_of_any_output() -> None:
    assert rows_of(KERAS, DEVICE, labels=TRUTH, classifiers=())
    assert classify({"output": KERAS}, {"output": DEVICE}, {}, ()) == ()


def test_a_label_that_nobody_knows_does_not_count() -> None:
    row = rows_of(KERAS, DEVICE, labels=np.array([0, -1, -1, 2]))["device_vs_truth"]
    assert (row.right, row.samples) == (1, 2)


def test_a_single_value_is_a_class_from_one_half_on() -> None:
    values = np.array([[0.49], [0.5], [0.51]], np.float32)
    row = rows_of(values, values, labels=np.array([0, 0, 1]))["device_vs_truth"]
    assert (row.right, row.samples) == (2, 3)
    assert row.counts is not None
    assert row.counts.tolist() == [[1, 1], [0, 1]]


def test_a_row_with_a_nan_is_never_right() -> None:
    device = DEVICE.copy()
    device[0, 2] = np.nan
    rows = rows_of(KERAS, device, labels=TRUTH)
    assert rows["device_vs_truth"].right == 1
    assert rows["device_vs_keras"].right == 2
    counts = rows["device_vs_truth"].counts
    assert counts is not None
    assert counts.sum() == 3


def test_every_step_of_a_sequence_is_a_sample() -> None:
    steps = np.stack([KERAS, DEVICE])
    row = rows_of(steps, steps, labels=np.stack([TRUTH, TRUTH]))["keras_vs_truth"]
    assert (row.right, row.samples) == (5, 8)


def test_very_many_classes_have_no_table() -> None:
    values = np.eye(MOST_CLASSES + 1, dtype=np.float32)
    assert rows_of(values, values)["device_vs_keras"].counts is None


def test_an_output_of_another_shape_has_no_classes() -> None:
    assert classify({"output": KERAS}, {"output": DEVICE[:2]}, {}, ("output",)) == ()


@pytest.mark.parametrize(
    ("labels", "code"),
    [([0, 1, 2], "inputs_shape"), ([[0], [1], [2], [2]], "inputs_shape"), ([0, 1, 2, 3], "inputs_range"),
     ([0, 1, 2, -2], "inputs_range")],
)  # fmt: skip
def test_labels_that_do_not_fit(labels: Any, code: str) -> None:
    with pytest.raises(InputsRefused) as caught:
        check_labels({"output": KERAS}, {"output": np.array(labels)})
    assert caught.value.code == code


def test_the_record_says_how_often() -> None:
    entry = Classes("output", 2, (Row("device_vs_truth", 3, 4, None), Row("keras_vs_truth", 0, 0, None))).to_json()
    assert [row["accuracy"] for row in entry["rows"]] == [0.75, None]
