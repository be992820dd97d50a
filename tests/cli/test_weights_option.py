"""`--weights` from the command line, on native, and `hil export` of every kind of file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.bootstrap.system import missing_parts
from harness.cli.app import run
from harness.model.nodes import LstmNode
from harness.oracle.runtime import KERAS_2, quiet
from keras_models import keras_model, save_spec


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two models of the same layers, one by each Keras, and a folder with weights for them."""
    folder = tmp_path_factory.mktemp("models")
    spec = seeds.random_lstm(3, 5)
    for name, seed in (("new", 2), ("old", 3)):
        other = replace(seeds.random_lstm(3, 5, seed=seed), name=name)
        with quiet():
            keras_model(other).save_weights(folder / f"{name}.weights.h5")
    return [
        save_spec(replace(spec, name="new"), folder),
        save_spec(replace(spec, name="old"), folder, ".h5", KERAS_2),
    ]


def test_weights_from_a_folder_and_from_one_file(
    models: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")
    arguments = ["validate", *map(str, models), "--native", "--json", str(tmp_path), "--batch", "2", "--steps", "3"]
    folder = models[0].parent
    crcs = []
    for weights, names in (
        (f"{folder}/", ["new", "old"]),
        (str(folder / "new.weights.h5"), ["new", "new"]),
    ):
        assert run([*arguments, "--weights", weights]) == 0
        records = [json.loads((tmp_path / f"{model.stem}.json").read_text()) for model in models]
        assert [record["model"]["weights_file"] for record in records] == [f"{name}.weights.h5" for name in names]
        assert all(len(record["model"]["weights_sha256"]) == 64 for record in records)
        assert [record["oracle"]["name"] for record in records] == ["keras", "tf_keras"]
        crcs.append([record["weights"]["crc32_device"] for record in records])
        assert f"weights of {names[1]}.weights.h5, SHA-256" in capsys.readouterr().out
    assert crcs[0][0] == crcs[1][0]
    assert crcs[0][1] != crcs[1][1]


def test_weights_that_are_not_there_or_would_be_written_over(models: list[Path], tmp_path: Path) -> None:
    assert run(["validate", str(models[0]), "--native", "--weights", str(tmp_path / "none.weights.h5")]) == 2
    weights = str(models[0].parent / "new.weights.h5")
    assert run(["validate", str(models[0]), "--native", "--weights", weights, "--save", weights]) == 2
    assert Path(weights).is_file()


def test_export_of_every_kind_of_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The seed's own way: 16 inputs, 32 units, no bias, four gates stacked, 4 decimals."""
    spec = seeds.no_bias_16_32().spec
    node = spec.nodes[0]
    assert isinstance(node, LstmNode)
    npz = tmp_path / "lstm.npz"
    np.savez(npz, kernel=node.kernel, recurrent_kernel=node.recurrent_kernel)
    printed = []
    for path in (
        save_spec(spec, tmp_path),
        save_spec(spec, tmp_path, ".h5"),
        save_spec(spec, tmp_path, ".hdf5", KERAS_2),
        npz,
    ):
        assert run(["export", str(path), "--c", "--decimals", "4"]) == 0
        text = capsys.readouterr().out
        assert "lstm_kernel[2048]" in text
        assert "lstm_recurrent_kernel[4096]" in text
        printed.append(text[text.index("static const") :])
    assert len(set(printed)) == 1
