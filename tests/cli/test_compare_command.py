"""`hil compare`, on native."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.cli.app import run
from harness.model.nodes import LstmNode
from keras_models import save_spec
from report_schema import check_record


@pytest.fixture(scope="module", autouse=True)
def native_is_there() -> None:
    from harness.bootstrap.system import missing_parts

    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model of `model` with half of its kernel zero."""
    spec = seeds.random_lstm(3, 5)
    (node,) = spec.nodes
    assert isinstance(node, LstmNode)
    kernel = node.kernel * (np.arange(node.kernel.size).reshape(node.kernel.shape) % 2)
    changed = replace(spec, name="pruned", nodes=(replace(node, kernel=kernel.astype(np.float32)),))
    return save_spec(changed, tmp_path_factory.mktemp("pruned"))


def test_two_sets_of_weights(model: Path, pruned: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "new" / "c.json"
    options = ["--native", "--batch", "2", "--steps", "3", "--json", str(path)]
    assert run(["compare", str(model), str(pruned), *options]) == 0
    output = capsys.readouterr().out
    assert output.splitlines()[0] == "target  native"
    assert "compare pruned.keras with seed.keras" in output
    told = json.loads(path.read_text())
    check_record(told, "comparison")
    (change,) = told["changes"]
    kernel = next(each for each in change["weights"] if each["name"] == "lstm.kernel")
    assert (kernel["before"]["zeros"], kernel["after"]["zeros"], kernel["elements"]) == (0, 30, 60)
    bias = next(each for each in change["weights"] if each["name"] == "lstm.bias")
    assert bias["changed"] == 0
    assert {each["name"] for each in change["tensors"]} >= {"lstm.h", "lstm.c", "output"}
    assert all(each["max_abs"] > 0 for each in change["tensors"])
    assert told["ranking"] is None
    assert [side["verdict"] for side in told["sides"]] == ["PASS", "PASS"]
    assert told["sides"][0]["cost_per_step"] is None, "native counts nothing"


def test_runs_of_before_and_a_model_of_now(model: Path, pruned: Path, tmp_path: Path) -> None:
    options = ["--native", "--batch", "2", "--steps", "3"]
    report, record, out = tmp_path / "report", tmp_path / "r.json", tmp_path / "r.npz"
    assert run(["validate", str(model), *options, "--report", str(report)]) == 0
    assert run(["validate", str(model), *options, "--json", str(record), "--save", str(out)]) == 0
    path = tmp_path / "c.json"
    assert run(["compare", str(report), str(record), str(pruned), *options, "--json", str(path)]) == 0
    told = json.loads(path.read_text())
    check_record(told, "comparison")
    same, other = told["changes"]
    assert len(same["tensors"]) == 5
    assert all(each["max_abs"] == 0 for each in same["tensors"])
    assert all(each["max_abs"] > 0 for each in other["tensors"])
    assert told["ranking"][-1] == "pruned.keras"
    assert run(["compare", str(report), str(pruned), "--native", "--batch", "2", "--steps", "3", "--seed", "1"]) == 2


def test_models_of_other_shapes_are_both_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    three, four = tmp_path / "three.npz", tmp_path / "four.npz"
    for path, features in ((three, 3), (four, 4)):
        weights = np.zeros((features, 20), np.float32), np.zeros((5, 20), np.float32)
        np.savez(path, kernel=weights[0], recurrent_kernel=weights[1])
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.zeros((1, 2, 3), np.float32))
    for given in (["--steps", "2", "--batch", "1"], ["--inputs", str(inputs)]):
        assert run(["compare", str(four), str(three), "--native", *given]) == 2
        told = capsys.readouterr().err
        assert f"{four} takes x (any, any, 4), {three} takes x (any, any, 3)" in told
    assert run(["compare", str(four), str(four), "--native", "--inputs", str(inputs)]) == 2
    assert f"{four}: 'x' in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["m.keras"], "only one"),
        (["a.json", "b.json", "--batch", "2"], "nothing is run"),
        (["a.json", "b.json"], "a.json cannot be read"),
        (["a.keras", "b.keras", "--native"], "a.keras"),
        (["a.keras", "b.keras", "--inputs", "x.npz", "--batch", "2"], "both given"),
        (["a.keras", "b.keras", "--kernel", "fast"], "arm_math"),
        (["a.keras", "b.keras", "--json", "a.keras"], "a.keras would be written over"),
        (["a.keras", "b.keras", "--inputs", "x.npz", "--json", "./x.npz"], "x.npz would be written over"),
        (["a.json", "b.json", "--json", "b.npz"], "b.npz would be written over"),
        (["a.json", ".", "--json", "report.json"], "report.json would be written over"),
    ],
)
def test_usage_errors(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["compare", *arguments]) == 2
    assert said in capsys.readouterr().err
