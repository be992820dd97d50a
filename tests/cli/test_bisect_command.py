"""`hil bisect`, and values that somebody gives in place of Keras'."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli.app import run
from harness.diagnosis.hypotheses import hypotheses
from harness.model.inputs import random_inputs
from harness.oracle.load import load_model


def record_at(path: Path) -> dict[str, Any]:
    record: dict[str, Any] = json.loads(path.read_text())
    return record


@pytest.fixture(scope="module")
def saved(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the device computes on the default inputs."""
    path = tmp_path_factory.mktemp("saved") / "out.npz"
    assert run(["validate", str(model), "--native", "--save", str(path)]) == 0
    return path


def test_bisect_shows_the_parts_of_a_step(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "r.json"
    assert run(["bisect", str(model), "--native", "--json", str(path)]) == 0
    out = capsys.readouterr().out
    assert "where   nearest to its tolerance is " in out
    assert "all is within tolerance of Keras' values" in out, "with --expected others may be beyond it"
    assert "recurrent product" in out
    assert "error from Keras' h and c" in out
    assert out.splitlines()[-1].startswith("PASS ")
    bisection = record_at(path)["bisect"]
    assert bisection["cause"] == "none"
    assert [each["name"] for each in bisection["stages"]][:2] == ["bias", "input product"]
    assert len(bisection["steps"]) == 16


def test_what_the_device_itself_gave_is_a_pass(model: Path, saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--expected", str(saved), "--json", str(path)]) == 0
    record = record_at(path)
    assert all(tensor["max_abs"] == 0 for tensor in record["tensors"])
    assert record["expected_file"]["file"] == "out.npz"
    assert 0 < record["expected_file"]["max_abs_to_keras"]["lstm.c"] < 1e-6
    assert record["expected_file"]["first_beyond"] is None


def test_whoever_made_the_expected_values_may_have_the_mistake(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = load_model(model).spec
    mistakes = hypotheses(spec, random_inputs(spec))
    wrong = next(each for each in mistakes if each.name == "swap_gates_f_c").tensors()
    np.savez(tmp_path / "y.npz", output=wrong["output"])
    path = tmp_path / "r.json"
    arguments = ["validate", str(model), "--native", "--expected", str(tmp_path / "y.npz"), "--json", str(path)]
    assert run(arguments) == 1
    out = capsys.readouterr().out
    assert "given   y.npz is what output is judged by" in out
    assert "'output' was float64 and is cast to float32" in out
    assert "why     the values are those of the model" in out
    assert "if gates f and c are swapped" in out
    record = record_at(path)
    assert [(each["name"], each["of"]) for each in record["diagnosis"]] == [("swap_gates_f_c", "expected")]
    assert record["bisect"] is None, "the device is right by Keras"
    first = record["expected_file"]["first_beyond"]
    assert first["tensor"] == "output"
    sequence, step, unit = (first[name] for name in ("sequence", "step", "unit"))
    assert first["expected"] == wrong["output"].astype(np.float32)[sequence, step, unit]
    place = f"seq {sequence} step {step} unit {unit} of output"
    assert f"given   first beyond the tolerance of the given values is {place}: expected" in out
    assert {tensor["name"]: tensor["pass"] for tensor in record["tensors"]}["lstm.h"], "which is judged by Keras"


@pytest.mark.parametrize(
    ("arrays", "options", "code"),
    [
        ({"nothing": np.zeros((8, 16, 5))}, [], "expected_unknown"),
        ({"output": np.zeros((8, 15, 5))}, [], "expected_shape"),
        ({"lstm.c": np.zeros((8, 16, 5))}, ["--trace", "h"], "expected_not_traced"),
        ({}, [], "expected_empty"),
    ],
)
def test_values_that_cannot_be_compared_are_refused(
    model: Path, tmp_path: Path, arrays: dict[str, Any], options: list[str], code: str
) -> None:
    np.savez(tmp_path / "y.npz", **arrays)
    path = tmp_path / "r.json"
    arguments = ["validate", str(model), "--native", "--expected", str(tmp_path / "y.npz"), "--json", str(path)]
    assert run([*arguments, *options]) == 2
    assert record_at(path)["error"]["code"] == code


def test_beside_a_golden_file_no_inputs_are_asked_for(tmp_path: Path) -> None:
    np.savez(tmp_path / "y.npz", output=np.zeros((3, 2)))
    golden, path = Path(__file__).parents[1] / "golden" / "v1.golden", tmp_path / "r.json"
    assert run(["validate", str(golden), "--native", "--expected", str(tmp_path / "y.npz"), "--json", str(path)]) == 2
    error = record_at(path)["error"]
    assert error["code"] == "expected_shape"
    assert "--inputs" not in error["remedy"]


@pytest.mark.parametrize(("content", "code"), [(None, "expected_not_found"), (b"no zip", "expected_unreadable")])
def test_an_expected_file_that_cannot_be_read_is_not_taken_for_the_inputs(
    model: Path, tmp_path: Path, content: bytes | None, code: str
) -> None:
    if content is not None:
        (tmp_path / "y.npz").write_bytes(content)
    path = tmp_path / "r.json"
    arguments = ["validate", str(model), "--native", "--expected", str(tmp_path / "y.npz"), "--json", str(path)]
    assert run(arguments) == 2
    error = record_at(path)["error"]
    assert error["code"] == code
    assert "inputs" not in error["remedy"]


def test_a_tolerance_below_keras_own_distance_is_refused(model: Path, tmp_path: Path) -> None:
    path = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--atol", "1e-9", "--rtol", "0", "--json", str(path)]) == 2
    error = record_at(path)["error"]
    assert error["code"] == "tolerance_below_oracle"
    assert "from float64" in error["message"]


def test_a_pass_in_the_guard_band_is_marginal(model: Path, tmp_path: Path) -> None:
    """The least tolerance that passes is one that the worst element uses up."""
    path = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--json", str(path)]) == 0
    largest = max(tensor["max_abs"] for tensor in record_at(path)["tensors"])
    given = ["--atol", str(1.1 * largest), "--rtol", "0"]
    assert run(["validate", str(model), "--native", *given, "--json", str(path)]) == 0
    record = record_at(path)
    assert (record["verdict"], record["exit_code"]) == ("MARGINAL", 0)
    assert "guard band" in record["summary"]
    assert any(tensor["marginal"] for tensor in record["tensors"])


def test_a_tolerance_that_hides_mistakes_is_named(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "r.json"
    assert run(["validate", str(model), "--native", "--atol", "1e-2", "--json", str(path)]) == 0
    assert "weights_float16" in record_at(path)["tolerance_hides"]
    assert "the given tolerance hides weights_" in capsys.readouterr().out
