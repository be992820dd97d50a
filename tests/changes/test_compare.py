"""Sides of a comparison: from files, against each other, and ranked."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.changes.compare import change_from, comparison_json, ranking
from harness.changes.side import Side, is_run, read_side
from harness.errors import UsageError


def record(accuracy: float | None = None, **changes: Any) -> dict[str, Any]:
    rows = [] if accuracy is None else [{"name": "device_vs_truth", "right": round(100 * accuracy), "samples": 100}]
    return {
        "schema": "lstm-hil/validation/1",
        "verdict": "PASS",
        "inputs": {"sha256": "ab", "calls": None},
        "timing": {"tick_unit": "cycles", "ticks_per_step": 100.0},
        "weights": {"image_bytes": 1000, "work_bytes": 24},
        "tensors": [{"share": 0.25}, {"share": "Infinity"}],
        "classification": [{"output": "output", "rows": rows}],
        **changes,
    }


def save(path: Path, arrays: dict[str, Any]) -> None:
    np.savez(path, **arrays)


def side(name: str, shift: float = 0.0, **changes: Any) -> Side:
    output = np.array([[0.1, 0.9], [0.8, 0.2]], np.float32)
    h = np.zeros((2, 3, 4), np.float32)
    h[1, 2, 3] = shift
    return Side(name, record(**changes), {"lstm.h": h, "output": output + np.float32(shift)})


def test_facts_of_a_record() -> None:
    found = side("a", accuracy=0.75)
    assert found.accuracy == 0.75
    assert found.cost == (100.0, "cycles")
    assert found.memory_bytes == 1024
    assert found.largest_share == np.inf
    assert found.classifiers == ("output",)
    assert Side("b", {}, {}).cost is None
    counted = record(timing={"tick_unit": "instructions", "ticks_per_step": 7.0})
    assert replace(found, record=counted).cost == (7.0, "instructions")
    assert replace(found, record=record(timing={"tick_unit": None, "ticks_per_step": None})).cost is None


def test_what_differs_is_where_it_is() -> None:
    change = change_from(side("a"), side("b", 0.5))
    h, output = change.tensors
    assert (h.beyond, h.first_step_beyond, h.metrics.max_abs) == (1, 2, 0.5)
    assert h.worst is not None
    assert (h.worst.sequence, h.worst.step, h.worst.unit) == (1, 2, 3)
    assert output.beyond == 4
    assert change.output_rmse == pytest.approx(0.5)
    assert change.same_classes["output"].right == 2
    assert change.weights is None
    assert any("weights are not known" in note for note in change.notes)
    same = change_from(side("a"), side("b"))
    assert [each.beyond for each in same.tensors] == [0, 0]


def test_a_difference_of_a_gate_names_the_gate() -> None:
    z = np.zeros((2, 3, 12), np.float32)
    other = z.copy()
    other[1, 2, 4] = 1
    first, second = (replace(side(name), tensors={"lstm.z": each}) for name, each in (("a", z), ("b", other)))
    assert [each.place for each in change_from(first, second).tensors] == ["seq 1 step 2 gate f unit 1"]


def test_other_inputs_are_refused_and_unknown_ones_told() -> None:
    with pytest.raises(UsageError, match="different inputs"):
        change_from(side("a"), side("b", inputs={"sha256": "cd"}))
    change = change_from(side("a"), side("b", inputs=None))
    assert any("not known" in note for note in change.notes)


def test_other_tolerances_are_told() -> None:
    strict, loose = ({"output": {"atol": atol, "rtol": 0.0}} for atol in (1e-6, 1e-3))
    notes = change_from(side("a", tolerance=strict), side("b", tolerance=loose)).notes
    said = "the tolerances differ, so verdicts and shares do not compare: output has atol 1e-06 rtol 0 in a, "
    assert f"{said}atol 0.001 rtol 0 in b" in notes
    same = change_from(side("a", tolerance=strict), side("b", tolerance=strict)).notes
    assert not any("tolerances" in note for note in same)


@pytest.mark.parametrize(
    ("a", "b", "said"),
    [
        (6.710803583942493e-07, 5e-7, "atol 6.71e-07 rtol 2e-06 in a, atol 5e-07 rtol 2e-06 in b"),
        (6.711e-07, 6.712e-07, "atol 6.711e-07 rtol 2e-06 in a, atol 6.712e-07 rtol 2e-06 in b"),
        (None, "Infinity", "atol None rtol 2e-06 in a, atol Infinity rtol 2e-06 in b"),
    ],
)
def test_tolerances_are_told_with_as_many_digits_as_tell_them_apart(a: object, b: object, said: str) -> None:
    first, second = (
        side(name, tolerance={"output": {"atol": atol, "rtol": 2e-6}}) for name, atol in (("a", a), ("b", b))
    )
    assert any(note.endswith(said) for note in change_from(first, second).notes)


def test_tensors_of_other_shapes_are_told() -> None:
    other = replace(side("b"), tensors={"lstm.h": np.zeros((2, 3, 5), np.float32), "x": np.zeros(3, np.float32)})
    change = change_from(side("a"), other)
    assert "shape" in change.tensors[0].problem
    assert change.output_rmse is None
    none = change_from(replace(side("a"), tensors={"x": np.zeros(3, np.float32)}), other)
    assert none.tensors == ()
    assert any("no tensor" in note for note in none.notes)


def test_the_ranking() -> None:
    first = side("first", accuracy=0.9)
    others = [
        side("worse", 0.1, accuracy=0.8),
        side("failed", 0.0, accuracy=1.0, verdict="FAIL"),
        side("better", 0.2, accuracy=0.95),
        side("near", 0.1, accuracy=0.9),
        side("nothing known", inputs=None, classification=None),
    ]
    changes = [change_from(first, each) for each in others]
    names = [each.side.name for each in ranking(first, changes)]
    assert names == ["better", "first", "near", "worse", "nothing known", "failed"]
    cheap = side("cheap", accuracy=0.9, timing={"tick_unit": "cycles", "ticks_per_step": 90.0})
    assert [each.side.name for each in ranking(first, [change_from(first, cheap)])] == ["cheap", "first"]
    told = json.loads(json.dumps(comparison_json(first, changes), allow_nan=False))
    assert told["ranking"] == names
    assert told["sides"][0]["cost_unit"] == "cycles"
    assert comparison_json(first, changes[:1])["ranking"] is None


def test_a_record_and_its_arrays(tmp_path: Path) -> None:
    (tmp_path / "r.json").write_text(json.dumps(record()))
    assert dict(read_side(tmp_path / "r.json").tensors) == {}
    np.savez(tmp_path / "r.npz", output=np.zeros((1, 2), np.float32), other=np.zeros(2))
    assert list(read_side(tmp_path / "r.json").tensors) == ["output"]
    alone = read_side(tmp_path / "r.npz")
    assert (list(alone.tensors), alone.record) == (["output"], {})
    folder = tmp_path / "report"
    folder.mkdir()
    (folder / "report.json").write_text(json.dumps(record()))
    save(folder / "vectors.npz", {"got.output": np.ones((1, 2), np.float32), "input.x": np.ones((1, 2, 3))})
    assert list(read_side(folder).tensors) == ["output"]


def test_runs_are_told_from_models(tmp_path: Path) -> None:
    save(tmp_path / "out.npz", {"lstm.h": np.zeros((1, 1, 1), np.float32)})
    np.savez(tmp_path / "model.npz", kernel=np.zeros((1, 4)), recurrent_kernel=np.zeros((1, 4)))
    paths = [tmp_path, tmp_path / "out.npz", tmp_path / "model.npz", Path("r.json"), Path("m.keras"), Path("none.npz")]
    assert [is_run(path) for path in paths] == [True, True, False, True, False, False]


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"schema": "else"}', "[" * 100_000, "\xff"])
def test_what_is_no_record_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "r.json"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(UsageError) as caught:
        read_side(path)
    assert caught.value.code == "run_unreadable"
    with pytest.raises(UsageError):
        read_side(tmp_path)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "r.json")
    with pytest.raises(UsageError, match="no regular file"):
        read_side(tmp_path / "r.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=4,
)


@given(st.sampled_from([key for key in record() if key not in ("schema", "inputs")]), JSON)
def test_a_record_of_anything_is_a_side(key: str, value: Any) -> None:
    other = Side("b", {**record(), key: value}, side("b").tensors)
    change = change_from(side("a"), other)
    json.dumps(comparison_json(side("a"), [change]))
