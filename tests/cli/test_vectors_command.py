"""`hil vectors`: what inputs can show, and inputs that show it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import seeds
from harness.cli.app import run
from keras_models import save_spec


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The published example of one step."""
    folder = tmp_path_factory.mktemp("published")
    np.savez(folder / "x.npz", x=seeds.worked_example().inputs.x)
    return save_spec(seeds.worked_example().spec, folder)


def test_the_published_example_shows_little(published: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["vectors", str(published), "--inputs", str(published.parent / "x.npz")]) == 0
    out = capsys.readouterr().out
    assert "unseen  recurrent_kernel_transposed" in out
    assert "lstm gate i never saturated_low" in out
    assert "planted mistakes would fail on these inputs; would pass: " in out.splitlines()[-1]


def test_covering_inputs_show_all_and_pass(published: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out_path = tmp_path / "cover.npz"
    assert run(["vectors", str(published), "--cover", str(out_path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "47 of 47 planted mistakes would fail on these inputs"
    assert run(["validate", str(published), "--native", "--inputs", str(out_path)]) == 0
    assert "vectors 47 of 47 planted mistakes would fail" in capsys.readouterr().out


def test_a_golden_file_has_inputs_of_its_own(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["vectors", str(Path(__file__).parents[1] / "golden" / "v1.golden")]) == 0
    assert "planted mistakes would fail on these inputs" in capsys.readouterr().out.splitlines()[-1]


def test_covering_inputs_are_not_written_over_the_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "m.keras"
    path.write_bytes(b"kept")
    assert run(["vectors", str(path), "--cover", str(path)]) == 2
    assert "m.keras would be written over" in capsys.readouterr().err
    assert path.read_bytes() == b"kept"


def test_covering_inputs_are_not_also_given(published: Path, tmp_path: Path) -> None:
    arguments = ["vectors", str(published), "--cover", str(tmp_path / "y.npz")]
    assert run([*arguments, "--inputs", str(published.parent / "x.npz")]) == 2
    assert run(["vectors", str(published), "--steps", "0"]) == 2
