"""`hil validate MODEL... --dask`: a real scheduler and two workers on loopback give the results of a local run."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dask_on_loopback import Dask
from harness.build.paths import project_root
from harness.cli.app import run
from marked_processes import descendants
from patience import PATIENCE_S, wait_until
from report_schema import check_record

pytest.importorskip("distributed", reason="dask is not installed: pip install 'lstm-hil[dask]'")
HIL = [sys.executable, "-m", "harness"]
TASK_PREFIX = "lstm-hil-task-"  # of a folder that is there as long as a worker does a task


@pytest.fixture
def dask(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dask]:
    """A scheduler with two workers."""
    dask = Dask(tmp_path_factory.mktemp("dask"))
    for name in ("one", "two"):
        dask.add_worker(name, {"TMPDIR": str(dask.folder)})
    dask.wait_for_workers(2)
    yield dask
    dask.stop()


def record_at(path: Path) -> dict[str, Any]:
    """A record without what depends on when and where it was made."""
    record: dict[str, Any] = json.loads(path.read_text())
    check_record(record)
    for part in ("run", "timing", "link"):
        del record[part]
    record["target"].pop("worker", None)
    if record["oracle"] is not None:
        del record["oracle"]["from_cache"]
    return record


def arrays_at(path: Path) -> dict[str, bytes]:
    with np.load(path) as saved:
        return {name: saved[name].tobytes() for name in saved}


def test_results_are_those_of_a_local_run(
    dask: Dask, weight_sets: list[Path], gru_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    inputs = tmp_path / "inputs"
    inputs.mkdir()
    names = [*weight_sets, gru_model, tmp_path / "absent.keras"]
    for path in names:
        np.savez(inputs / f"{path.stem}.npz", x=np.random.default_rng(1).normal(size=(2, 5, 3)).astype(np.float32))
    for where, options in (("local", []), ("cluster", ["--dask", dask.address])):
        folder = f"{tmp_path}/{where}/"
        files = ["--inputs", str(inputs), "--json", folder, "--save", folder]
        assert run(["validate", *map(str, names), "--native", *options, *files]) == 2
        assert capsys.readouterr().out.splitlines()[-1] == "5 PASS, 2 ERROR"
    for path in names:
        local, cluster = tmp_path / "local" / path.stem, tmp_path / "cluster" / path.stem
        assert record_at(local.with_suffix(".json")) == record_at(cluster.with_suffix(".json"))
    for path in weight_sets:
        name = f"{path.stem}.npz"
        assert arrays_at(tmp_path / "local" / name) == arrays_at(tmp_path / "cluster" / name)


def test_models_of_a_worker_that_is_killed_are_run_again(dask: Dask, weight_sets: list[Path], tmp_path: Path) -> None:
    arguments = ["validate", *map(str, weight_sets), "--native", "--batch", "300", "--steps", "50"]
    process = subprocess.Popen(
        [*HIL, *arguments, "--dask", dask.address, "--json", f"{tmp_path}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    one = dask.worker_id("one")
    assert wait_until(lambda: _runs_firmware(one), look_s=0.01)
    firmware = _runs_firmware(one)
    os.kill(one, signal.SIGKILL)
    output, _ = process.communicate(timeout=PATIENCE_S)
    assert output.splitlines()[-1] == "5 PASS", output
    assert process.returncode == 0
    assert {json.loads(path.read_text())["verdict"] for path in tmp_path.glob("*.json")} == {"PASS"}
    # By its name, since a number may be another process by now.
    assert wait_until(lambda: not any("native" in _command(each) for each in firmware)), "its emulator ends with it"


def _runs_firmware(worker: int) -> list[int]:
    """Processes of the firmware that a worker has started."""
    return [each for each in descendants(worker) if "native" in _command(each)]


def _command(process: int) -> str:
    try:
        return Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")[0].decode()
    except OSError:
        return ""


def test_a_worker_of_another_version_is_named_and_gets_nothing(
    weight_sets: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(project_root() / "harness", tmp_path / "harness", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(project_root() / "firmware", tmp_path / "firmware")
    shutil.copy(project_root() / "platformio.ini", tmp_path)
    (tmp_path / "harness" / "__init__.py").write_text('"""Another one."""\n__version__ = "0.0.9"\n')
    dask = Dask(tmp_path)
    try:
        dask.add_worker("old", {"PYTHONPATH": str(tmp_path)})
        dask.wait_for_workers(1)
        arguments = ["validate", *map(str, weight_sets[:2]), "--native", "--dask", dask.address]
        assert run([*arguments, "--json", f"{tmp_path}/records/"]) == 3
        captured = capsys.readouterr()
        assert "runs hil 0.0.9 (" in captured.err
        assert captured.out.splitlines()[-1] == "2 ERROR"
        assert json.loads((tmp_path / "records" / "w0.json").read_text())["error"]["code"] == "no_dask_worker"
    finally:
        dask.stop()


def test_ctrl_c_leaves_records_and_no_wait(dask: Dask, weight_sets: list[Path], tmp_path: Path) -> None:
    old = tmp_path / f"{weight_sets[0].stem}.json"
    old.write_text("{}")
    arguments = ["validate", *map(str, weight_sets), "--native", "--batch", "20000", "--steps", "50"]
    process = subprocess.Popen(
        [*HIL, *arguments, "--dask", dask.address, "--json", f"{tmp_path}/"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert wait_until(lambda: not old.exists()), "a model is given out"
    assert wait_until(lambda: list(dask.folder.glob(f"{TASK_PREFIX}*"))), "a worker has begun one"
    process.send_signal(signal.SIGINT)
    _, complaints = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert "Traceback" not in complaints
    ends = [json.loads(path.read_text())["error"]["code"] for path in tmp_path.glob("*.json")]
    assert set(ends) == {"interrupted"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--dask", "tcp://127.0.0.1:1", "-j", "2"], "-j and --dask"),
        (["--dask", "tcp://127.0.0.1:1", "--board", "nucleo_f446re"], "emulator of its own"),
        (["--dask", "tcp://127.0.0.1:1", "--record", "x.link"], "--record and --dask"),
        (["--dask", "nonsense://1"], "tcp://HOST:PORT"),
    ],
)
def test_what_a_cluster_cannot_do_is_refused(
    weight_sets: list[Path], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(weight_sets[0]), *options]) == 2
    assert said in capsys.readouterr().err
