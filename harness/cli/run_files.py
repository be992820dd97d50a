"""Every file that `hil validate` reads and writes, of all models of a command line."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.cli.files import PerModel, ReportFolder, refuse_overwriting, start_recording
from harness.cli.resume import Earlier, Keys, earlier_runs, saved_sha256
from harness.cli.session import ModelFiles, Outcome, Settings
from harness.errors import DeviceError, ExitCode, FlashError, HilError, LinkError, MismatchError, UsageError
from harness.findings.writing import not_written
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.transport.recording import Recording
    from harness.validation import Validation


@dataclass(frozen=True)
class Files:
    """The per-model files of one command line."""

    weights: PerModel
    inputs: PerModel
    save: PerModel
    json: PerModel
    record: Path | None = None
    report: ReportFolder | None = None
    expected: PerModel | None = None
    baseline: Path | None = None

    def check(self, models: Sequence[Path]) -> None:
        """Nothing that is written may be something that is read, or written twice.

        Raises:
            UsageError: an output is also a model, its weights, an input, the baseline or another output.
        """
        record = None if self.record is None else self.record.resolve()
        read = [self.baseline, *(path for model in models for path in self.of(model).paths.values())]
        refuse_overwriting([self.record, *(path for model in models for path in self._outputs(model))], read)
        for model in models:
            outputs = self._outputs(model)
            named = Counter(path.resolve() for path in outputs).most_common(1)
            if named and named[0][1] > 1:
                raise UsageError(
                    f"two of --save, --json and --report name {named[0][0]}", remedy="name files of their own"
                )
            if record is not None and record in {path.resolve() for path in outputs}:
                raise UsageError(f"--record names {self.record}, as another option does", remedy="name another file")

    def _outputs(self, model: Path) -> list[Path]:
        """All files that are written about a model, except for the record of the link."""
        files = [path for path in (self.save.of(model), self.json.of(model)) if path is not None]
        if self.report is None:
            return files
        from harness.report.folder import RUN_FILES

        return [*files, *(self.report.of(model) / name for name in RUN_FILES)]

    def forget_old(self, model: Path) -> None:
        """Remove what an earlier run left: whatever happens to this one, its result must not be taken for a new one."""
        for path in (self.save.of(model), self.json.of(model)):
            if path is not None and path.is_file():
                with suppress(OSError):  # said when it is written
                    path.unlink()
        if self.report is not None:
            from harness.report.folder import forget_report

            forget_report(self.report.of(model))

    def begin(self, choice: TargetChoice, workers: int) -> Recording | None:
        """Forget the old index, and start the record of the link that is wanted or that a report may keep.

        Args:
            choice: the target.
            workers: several have no link in common; 0: none of them is ours.
        """
        if self.report is not None:
            from harness.report.folder import LINK_RECORD, forget_index

            forget_index(self.report.path)
            if self.record is None and workers == 1:
                return start_recording(self.report.path / LINK_RECORD, choice)
        return None if self.record is None else start_recording(self.record, choice)

    def earlier(self, models: Sequence[Path], keys: Keys, settings: Settings) -> dict[int, Earlier]:
        """Which models need not be run again, by their place."""
        files = [(self.of(model), self.json.of(model), self.save.of(model)) for model in models]
        return earlier_runs(files, keys, settings)

    def of(self, model: Path) -> ModelFiles:
        """What is read of one model."""
        expected = None if self.expected is None else self.expected.of(model)
        return ModelFiles(model, self.weights.of(model), self.inputs.of(model), expected)

    def write(
        self,
        outcome: Outcome,
        choice: TargetChoice,
        recording: Recording | None = None,
        exit_code: int | None = None,
        resume_key: str | None = None,
    ) -> list[Path]:
        """Write what was asked for; what cannot be written becomes the run's error. Gives the files that are there."""
        from harness.report.folder import forget_report, write_report
        from harness.report.record import write_arrays, write_record

        run = outcome.run
        written = []
        save, json = self.save.of(run.model_path), self.json.of(run.model_path)
        report = None if self.report is None else self.report.of(run.model_path)
        if self.record is not None and recording is not None and recording.failure is not None and run.error is None:
            run.error = recording.failure
        if save is not None and run.got:
            try:
                write_arrays(run.got, save)
                written.append(save)
            except OSError as error:
                run.error = not_written(save, error)
        try:
            if report is not None:
                written.append(
                    write_report(report, run, self._record(outcome, choice, recording, exit_code, resume_key))
                )
        except HilError as error:
            run.error = error
        if json is not None:
            try:
                write_record(self._record(outcome, choice, recording, exit_code, resume_key), json)
                written.append(json)
            except OSError as error:
                run.error = not_written(json, error)
                if report is not None:
                    forget_report(report)  # it says nothing of this
        return written

    def write_index(self, runs: Sequence[Validation]) -> list[Path]:
        """Write what leads to the reports of many models; gives the file, if there is any to be written."""
        if self.report is None or not self.report.holds_many:
            return []
        from harness.report.folder import read_records, write_index

        return [write_index(self.report.path, read_records([self.report.of(run.model_path) for run in runs]))]

    def _record(
        self,
        outcome: Outcome,
        choice: TargetChoice,
        recording: Recording | None,
        exit_code: int | None,
        resume_key: str | None = None,
    ) -> dict[str, Any]:
        from harness.build.commit import commit_here
        from harness.build.program import program_facts
        from harness.report.record import record_of

        run = outcome.run
        link = self.record
        if recording is not None and keeps_link_record(run):
            link = recording.path
        record = record_of(
            run,
            choice,
            outcome.target,
            link,
            command=["hil", *sys.argv[1:]],
            program=None if run.hello is None else program_facts(run.hello.build_id, run.hello.board),
            commit=commit_here(),
            resume=None
            if resume_key is None
            else {"key": resume_key, "saved_sha256": saved_sha256(self.save.of(run.model_path))},
        )
        return record if exit_code is None else {**record, "exit_code": exit_code}


def keeps_link_record(run: Validation) -> bool:
    """Whether the link may tell why a run did not pass: numbers went over it, or it failed itself."""
    is_of_link = isinstance(run.error, (LinkError, DeviceError, MismatchError, FlashError))
    return run.exit_code != ExitCode.PASS and (run.hello is not None or is_of_link)
