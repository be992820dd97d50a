"""`hil golden`, and `hil validate` of what it makes, on machines without Keras too."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from harness.cli.app import run
from harness.golden.file import golden_bytes, read_golden
from harness.model.trace import TraceLevel

OLD = Path(__file__).parents[1] / "golden" / "v1.golden"

WITHOUT_KERAS = """
import sys

class Nowhere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "keras", "tf_keras", "h5py"):
            raise ImportError(name)

sys.meta_path.insert(0, Nowhere())
from harness.cli.app import run
sys.exit(run(sys.argv[1:]))
"""


@pytest.fixture(scope="module")
def native_is_there() -> None:
    from harness.bootstrap.system import missing_parts

    if missing := missing_parts(("gcc", "libc6-dev")):
        pytest.skip(f"native: {missing[0].name} is not installed")


@pytest.mark.usefixtures("native_is_there")
@pytest.mark.parametrize(("options", "code", "end"), [((), 0, "PASS"), (("--atol", "0", "--rtol", "0"), 1, "FAIL")])
def test_a_bench_machine_needs_no_keras(options: tuple[str, ...], code: int, end: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KERAS, "validate", str(OLD), "--native", "--trace", "gates", *options],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == code, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1].startswith(f"{end} v1.golden: ")
    assert any("made by lstm-hil 0.1.0 on 2026-11-21" in line for line in lines)
    assert any("keras 3.15.1" in line for line in lines)
    assert any("kernel packed, trace gates" in line for line in lines), "the file says which kernel"


@pytest.mark.usefixtures("native_is_there")
def test_made_and_validated(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, again, record = tmp_path / "new" / "m.golden", tmp_path / "again.golden", tmp_path / "r.json"
    options = ["--batch", "2", "--steps", "3", "--seed", "5"]
    assert run(["golden", "make", str(model), *options, "-o", str(path)]) == 0
    assert run(["golden", "make", str(model), *options, "-o", str(again)]) == 0
    assert path.read_bytes() == again.read_bytes()
    said = capsys.readouterr().out
    assert "random from seed 5" in said
    assert run(["golden", "show", str(path)]) == 0
    assert capsys.readouterr().out in said
    assert run(["validate", str(path), "--native", "--kernel", "packed_fma", "--json", str(record)]) == 0
    told = json.loads(record.read_text())
    assert told["kernel"] == "packed_fma"
    assert told["model"]["file"] == "m.golden"
    assert any(str(model.name) in note for note in told["model"]["notes"])
    assert told["inputs"]["seed"] == 5
    assert told["oracle"]["versions"]["keras"]
    assert run(["validate", str(model), *options, "--native", "--json", str(record)]) == 0
    by_keras = json.loads(record.read_text())
    assert by_keras["tolerance"] == told["tolerance"], "the same rules, docs/ACCURACY.md"
    assert by_keras["inputs"]["sha256"] == told["inputs"]["sha256"]
    assert by_keras["model"]["sha256"] == told["model"]["sha256"]


def test_a_model_may_have_any_name(model: Path, tmp_path: Path) -> None:
    odd, path = tmp_path / os.fsdecode(b"Pr\xfcf\nling.keras"), tmp_path / "m.golden"
    shutil.copy(model, odd)
    assert run(["golden", "make", str(odd), "--batch", "2", "--steps", "3", "--seed", "5", "-o", str(path)]) == 0
    assert read_golden(path).origin.model_file == "Pr\\udcfcf\\nling.keras"


def golden_with(level: TraceLevel, path: Path) -> Path:
    """The old file, made with less trace."""
    old = read_golden(OLD)
    less = replace(
        old,
        level=level,
        expected=replace(old.expected, tensors=level.of(old.expected.tensors)),
        max_abs_to_float64=level.of(old.max_abs_to_float64),
        tolerances=level.of(old.tolerances),
    )
    path.write_bytes(golden_bytes(less))
    return path


@pytest.mark.usefixtures("native_is_there")
@pytest.mark.parametrize("level", TraceLevel)
def test_all_that_is_in_the_file_is_judged_and_nothing_else(level: TraceLevel, tmp_path: Path) -> None:
    path, record = golden_with(level, tmp_path / "m.golden"), tmp_path / "r.json"
    assert run(["validate", str(path), "--native", "--json", str(record)]) == 0
    told = json.loads(record.read_text())
    assert told["trace"] == level.name.lower()
    assert {tensor["name"] for tensor in told["tensors"]} == set(read_golden(path).expected.tensors)


@pytest.mark.usefixtures("native_is_there")
def test_less_than_the_file_has_is_said_and_more_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, record = golden_with(TraceLevel.H, tmp_path / "m.golden"), tmp_path / "r.json"
    assert run(["validate", str(path), "--native", "--trace", "last"]) == 0
    assert "its trace is h, of which last is judged" in capsys.readouterr().out
    assert run(["validate", str(path), "--native", "--trace", "hc", "--json", str(record)]) == 2
    error = json.loads(record.read_text())["error"]
    assert error["code"] == "golden_trace"
    assert "hil golden make --trace hc" in error["remedy"]


@pytest.mark.usefixtures("native_is_there")
def test_one_layer_of_a_model_that_is_not_run(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "layer.golden"
    assert run(["golden", "make", str(model), "--layer", "lstm", "--date", "2026-01-31", "-o", str(path)]) == 0
    assert run(["validate", str(path), "--native"]) == 0
    assert "the layer 'lstm' alone, made by lstm-hil 0.1.0 on 2026-01-31" in capsys.readouterr().out


@pytest.mark.usefixtures("native_is_there")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--batch", "2"], "has its own inputs"),
        (["--inputs", "x.npz"], "has its own inputs"),
        (["--layer", "first"], "--layer changes nothing"),
        (["--weights", "w.weights.h5"], "--weights changes nothing"),
    ],
)
def test_what_a_golden_file_has_itself_is_not_given(
    options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(OLD), "--native", *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.out + captured.err


def test_the_table_of_a_golden_file_fits_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["golden", "show", str(Path(__file__).parents[1] / "golden" / "v1.golden")]) == 0
    lines = capsys.readouterr().out.splitlines()
    head = next(place for place, line in enumerate(lines) if line.startswith("tensor "))
    rows = [line for line in lines[head:] if ":" not in line]
    assert len(rows) == 1 + 19
    assert max(map(len, rows)) < 80
    assert sum(line.startswith("output: atol is the least one, 5e-07: ") for line in lines) == 1


def test_a_damaged_file_is_an_error_with_a_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, record = tmp_path / "cut.golden", tmp_path / "r.json"
    path.write_bytes(OLD.read_bytes()[:-100])
    assert run(["validate", str(path), "--native", "--json", str(record)]) == 2
    assert "golden_damaged" in capsys.readouterr().out.splitlines()[-1]
    assert json.loads(record.read_text())["error"]["code"] == "golden_damaged"
    assert run(["golden", "show", str(path)]) == 2


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["-o", "m.npz"], "m.golden"),
        (["-o", "m.golden", "--date", "today"], "--date"),
        (["-o", "m.golden", "--kernel", "fast"], "arm_math"),
        (["-o", "m.golden", "--atol", "-1"], "--atol"),
        (["-o", "m.golden", "--steps", "0"], "--steps"),
        (["-o", "m.golden", "--inputs", "not_there.npz"], "not_there.npz"),
        (["-o", "m.golden", "--inputs", "./m.golden"], "m.golden would be written over"),
        (["-o", "m.golden", "--weights", "m.golden"], "m.golden would be written over"),
    ],
)
def test_usage_errors_write_nothing(
    model: Path,
    options: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(["golden", "make", str(model), *options]) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_what_keras_itself_does_not_know_makes_no_golden(
    ill_conditioned_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "m.golden"
    assert run(["golden", "make", str(ill_conditioned_model), "--steps", "40", "-o", str(path)]) == 8
    assert not path.exists()
    assert run(["golden", "make", str(ill_conditioned_model), "--steps", "40", "--atol", "1e30", "-o", str(path)]) == 0
    assert "atol was given" in capsys.readouterr().out


@pytest.mark.usefixtures("native_is_there")
def test_values_beside_those_of_the_file_fail(model: Path, tmp_path: Path) -> None:
    """The expected values are the file's: a device that gives others does not pass."""
    inputs = tmp_path / "x.npz"
    np.savez(inputs, x=np.full((1, 3, 3), 0.5, np.float32))
    path = tmp_path / "m.golden"
    assert (
        run(["golden", "make", str(model), "--inputs", str(inputs), "--atol", "0", "--rtol", "0", "-o", str(path)]) == 0
    )
    assert run(["validate", str(path), "--native"]) == 1
    assert run(["validate", str(path), "--native", "--atol", "1e-6"]) == 0
