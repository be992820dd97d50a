"""What a classifier decides: the device against Keras, and both against the truth where somebody knows it.

A class is the place of the largest value in the last axis; of a single value it is 1 from 0.5 on, else 0. A row with a
NaN in it has no class, and is never right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from harness.compare.metrics import Array
from harness.errors import InputsRefused

IntArray: TypeAlias = NDArray[np.int64]

MOST_CLASSES = 64
"""Up to here the counts of all pairs of classes are kept: more are no table that anybody reads."""

NO_CLASS = -1
"""In labels: nobody knows, or it does not count. Of a row: it holds a NaN."""

_BINARY = 0.5


@dataclass(frozen=True)
class Row:
    """One of the three comparisons.

    Attributes:
        name: device_vs_truth, keras_vs_truth or device_vs_keras.
        right: samples in which both have the same class.
        samples: how many there are.
        counts: (classes, classes), how often; rows are of the second of the name, columns of the first. None beyond
            MOST_CLASSES.
    """

    name: str
    right: int
    samples: int
    counts: IntArray | None


@dataclass(frozen=True)
class Classes:
    """What the values of one output say as classes.

    Attributes:
        output: its name.
        classes: how many there are.
        rows: device_vs_truth and keras_vs_truth where the truth is known, then device_vs_keras.
    """

    output: str
    classes: int
    rows: tuple[Row, ...]

    def to_json(self) -> dict[str, Any]:
        """An entry of `classification` in the record."""
        rows = [
            {
                "name": row.name,
                "right": row.right,
                "samples": row.samples,
                "accuracy": row.right / row.samples if row.samples else None,
                "counts": None if row.counts is None else row.counts.tolist(),
            }
            for row in self.rows
        ]
        return {"output": self.output, "classes": self.classes, "rows": rows}


def classify(
    expected: Mapping[str, Array], got: Mapping[str, Array], labels: Mapping[str, IntArray], classifiers: Iterable[str]
) -> tuple[Classes, ...]:
    """Compare classes.

    Args:
        expected: Keras' tensors by name.
        got: the device's; one of another shape has no classes.
        labels: the truth, by output; shapes as `check_labels` wants them.
        classifiers: names of the outputs that are classes whether there are labels or not.
    """
    wanted = {*labels, *classifiers}
    names = [name for name in expected if name in wanted and name in got and got[name].shape == expected[name].shape]
    return tuple(_classes(name, expected[name], got[name], labels.get(name)) for name in names)


def check_labels(expected: Mapping[str, Array], labels: Mapping[str, IntArray]) -> None:
    """Hold labels against the outputs that they are of.

    Raises:
        InputsRefused: another shape than that of the output without its last axis, or a class that it does not have.
    """
    for name, truth in labels.items():
        shape, classes = expected[name].shape[:-1], _class_count(expected[name])
        if truth.shape != shape:
            raise InputsRefused(
                f"The labels of '{name}' have the shape {truth.shape}; the output has {expected[name].shape}.",
                code="inputs_shape",
                remedy=f"Give one class for each: an array of the shape {shape}.",
            )
        if truth.size and (truth.max() >= classes or truth.min() < NO_CLASS):
            raise InputsRefused(
                f"The labels of '{name}' go from {truth.min()} to {truth.max()}; there are {classes} classes.",
                code="inputs_range",
                remedy=f"Number the classes from 0 to {classes - 1}; {NO_CLASS} is one that does not count.",
            )


def _classes(name: str, expected: Array, got: Array, truth: IntArray | None) -> Classes:
    count = _class_count(expected)
    keras, device = _decided(expected), _decided(got)
    rows = [] if truth is None else [
        _row("device_vs_truth", truth, device, count, truth != NO_CLASS),
        _row("keras_vs_truth", truth, keras, count, truth != NO_CLASS),
    ]  # fmt: skip
    return Classes(name, count, (*rows, _row("device_vs_keras", keras, device, count, np.ones(keras.shape, bool))))


def _row(name: str, of: IntArray, by: IntArray, count: int, counted: NDArray[np.bool_]) -> Row:
    of, by = of[counted], by[counted]
    counts = None
    if count <= MOST_CLASSES:
        both = (of != NO_CLASS) & (by != NO_CLASS)
        counts = np.zeros((count, count), np.int64)
        np.add.at(counts, (of[both], by[both]), 1)
    return Row(name, int(np.count_nonzero(of == by)), int(of.size), counts)


def _class_count(values: Array) -> int:
    return max(2, int(values.shape[-1]))


def _decided(values: Array) -> IntArray:
    decided = (values[..., 0] >= _BINARY).astype(np.int64) if values.shape[-1] == 1 else values.argmax(axis=-1)
    return np.where(np.isnan(values).any(axis=-1), NO_CLASS, decided)
