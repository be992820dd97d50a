"""`hil validate MODEL... --resume`: what is done is not done again, and no stale verdict passes for a new one."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness.cli import session
from harness.cli.app import run
from harness.cli.resume import Keys
from harness.cli.session import ModelFiles, Outcome, Settings
from harness.targets.choice import TargetChoice
from harness.validation import Limits


class Project:
    """Models of one's own, their inputs and the records of their runs.

    Args:
        folder: for all.
        models: copied into it.
    """

    def __init__(self, folder: Path, models: list[Path], capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._capsys = capsys
        self.models = [Path(shutil.copy(model, folder)) for model in models]
        (folder / "inputs").mkdir()
        for model in self.models:
            np.savez(folder / "inputs" / f"{model.stem}.npz", x=np.full((1, 3, 3), 0.5, np.float32))

    def validate(self, *options: str) -> tuple[int, set[str]]:
        """Exit code, and stems of the models that were run."""
        arguments = ["validate", *map(str, self.models), "--inputs", f"{self.folder}/inputs"]
        outputs = ["--json", f"{self.folder}/records/", "--save", f"{self.folder}/saved/"]
        before = {path: path.read_bytes() for path in self.records()}
        code = run([*arguments, *outputs, *(options or ("--native", "--resume"))])
        self.output = self._capsys.readouterr().out
        return code, {path.stem for path in self.records() if before.get(path) != path.read_bytes()}

    def records(self) -> list[Path]:
        return sorted((self.folder / "records").glob("*.json"))

    def record(self, stem: str = "w0") -> Path:
        return self.folder / "records" / f"{stem}.json"

    def edit_record(self, edit: Callable[[dict[str, Any]], object]) -> None:
        record = json.loads(self.record().read_text())
        edit(record)
        self.record().write_text(json.dumps(record))


@pytest.fixture
def project(weight_sets: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Project:
    project = Project(tmp_path, weight_sets[:2], capsys)
    assert project.validate("--native") == (0, {"w0", "w1"})
    return project


def test_what_is_done_is_not_done_again(project: Project) -> None:
    assert project.validate() == (0, set())
    assert "2 of 2 were validated before" in project.output
    assert "(an earlier run)" in project.output
    assert project.output.splitlines()[-1] == "2 PASS"


def test_what_the_inputs_see_is_told_of_an_earlier_run_too(project: Project) -> None:
    assert project.validate("--native")[0] == 0
    before = [line.split() for line in project.output.splitlines()[-4:-1]]
    assert before[0] == ["model", "verdict", "exit", "sees", "why"]
    project.validate()
    after = [line.removesuffix(" (an earlier run)").split() for line in project.output.splitlines()[-4:-1]]
    assert after == before
    assert [line[4] for line in after[1:]] == ["of", "of"]


def test_what_is_left_is_done_in_order(project: Project) -> None:
    project.record("w0").unlink()
    assert project.validate() == (0, {"w0"})
    table = project.output.splitlines()[-3:-1]
    assert [line.split()[0] for line in table] == ["w0.keras", "w1.keras"]
    assert ["(an earlier run)" in line for line in table] == [False, True]


def test_workers_resume_too(project: Project) -> None:
    project.record("w0").unlink()
    assert project.validate("--native", "--resume", "-j", "2") == (0, {"w0"})
    assert project.validate("--native", "--resume", "-j", "2") == (0, set())


def test_without_the_option_all_is_run(project: Project) -> None:
    assert project.validate("--native") == (0, {"w0", "w1"})


def test_a_failure_is_done_and_keeps_its_exit_code(project: Project) -> None:
    options = ("--native", "--atol", "0", "--rtol", "0")
    assert project.validate(*options)[0] == 1
    assert project.validate(*options, "--resume") == (1, set())
    assert project.output.splitlines()[-1] == "2 FAIL"


def _new_weights(project: Project) -> None:
    shutil.copy(project.models[1], project.models[0])


def _new_inputs(project: Project) -> None:
    np.savez(project.folder / "inputs" / "w0.npz", x=np.full((1, 3, 3), 0.25, np.float32))


def _error(project: Project) -> None:
    project.edit_record(lambda record: record.update(verdict="ERROR", exit_code=5))


def _broken(project: Project) -> None:
    project.record().write_text(project.record().read_text()[:-40])


def _other_firmware(project: Project) -> None:
    project.edit_record(lambda record: record["firmware"].update(build_id="00" * 20))


def _other_schema(project: Project) -> None:
    project.edit_record(lambda record: record.update(schema="lstm-hil/validation/0"))


def _of_another_model(project: Project) -> None:
    shutil.copy(project.record("w1"), project.record("w0"))


def _without_key(project: Project) -> None:
    project.edit_record(lambda record: record.update(resume=None))


def _other_arrays(project: Project) -> None:
    shutil.copy(project.folder / "saved" / "w1.npz", project.folder / "saved" / "w0.npz")


def _no_arrays(project: Project) -> None:
    (project.folder / "saved" / "w0.npz").unlink()


@pytest.mark.parametrize(
    "change",
    [
        _new_weights, _new_inputs, _error, _broken, _other_firmware, _other_schema, _of_another_model, _without_key,
        _other_arrays, _no_arrays,
    ],
)  # fmt: skip
def test_what_has_changed_is_run_again(project: Project, change: Callable[[Project], None]) -> None:
    change(project)
    assert project.validate() == (0, {"w0"})


def test_another_target_is_another_run(project: Project) -> None:
    for name in ("machine", "emulator", "serial_number", "port", "labgrid_place"):
        project.edit_record(lambda record, name=name: record["target"].update({name: "another"}))  # type: ignore[misc]
        assert project.validate() == (0, {"w0"}), name


@pytest.mark.parametrize(
    "options",
    [
        ("--native", "--atol", "1e-3"), ("--native", "--kernel", "packed"), ("--native", "--trace", "last"),
        ("--native", "--bit-exact"),
    ],
)  # fmt: skip
def test_another_option_is_another_run(project: Project, options: tuple[str, ...]) -> None:
    assert project.validate(*options, "--resume") == (0, {"w0", "w1"})


def test_another_oracle_or_program_is_another_run(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness.cli import resume
    from harness.oracle import cache

    with monkeypatch.context() as changed:
        changed.setattr(cache, "_version", lambda package: "9.9")
        assert project.validate() == (0, {"w0", "w1"})
    with monkeypatch.context() as changed:
        changed.setattr(resume, "program_identity", lambda: "0.0.9 (abc)")
        assert project.validate() == (0, {"w0", "w1"})


def test_what_a_worker_under_dasks_nanny_did_is_run_again_and_that_is_said(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def oracle_environment_there() -> str:
        with pytest.MonkeyPatch.context() as nanny:
            for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
                nanny.setenv(name, "1")
            return session.oracle_environment()

    assert "--no-nanny" not in project.output
    with monkeypatch.context() as worker:
        worker.setattr(
            "harness.cli.session.Outcome", lambda run, target, _: Outcome(run, target, oracle_environment_there())
        )
        assert project.validate("--native") == (0, {"w0", "w1"})
    assert "note    --resume will run 2 of 2 again" in project.output
    assert "--no-nanny" in project.output
    assert project.validate() == (0, {"w0", "w1"})


def test_every_file_counts(tmp_path: Path) -> None:
    paths = {each.name: tmp_path / each.name for each in fields(ModelFiles)}
    for path in paths.values():
        path.write_bytes(b"before")
    keys, files = Keys(Settings((TargetChoice("native"),), Limits())), ModelFiles(**paths)
    seen = {keys.of(files)}
    for path in paths.values():
        path.write_bytes(b"after")
        seen.add(keys.of(files))
    assert len(seen) == 1 + len(paths)
    path.unlink()
    assert keys.of(files) is None


def test_a_pipe_gives_no_key_and_is_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "p.keras"
    os.mkfifo(pipe)
    assert Keys(Settings((TargetChoice("native"),), Limits())).of(ModelFiles(pipe)) is None


def test_a_file_that_changes_while_it_is_run_gives_no_key(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    real, asked = Keys.of, []

    def changing(self: Keys, files: Any) -> str | None:
        asked.append(files)
        return f"{real(self, files)}{len(asked)}"

    with monkeypatch.context() as changed:
        changed.setattr(Keys, "of", changing)
        project.validate("--native")
    assert json.loads(project.record().read_text())["resume"] is None
    assert project.validate() == (0, {"w0", "w1"})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "--json"),
        (["--json", "r.json", "--report", "r"], "--report"),
        (["--json", "r.json", "--sn", "1", "--sn", "2"], "several boards"),
    ],
)
def test_where_there_is_nothing_to_go_by(
    weight_sets: list[Path], options: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["validate", str(weight_sets[0]), "--resume", *options]) == 2
    assert said in capsys.readouterr().err
