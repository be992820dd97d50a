"""Validates the models of a command line, prints each as it is done, and leaves a record of each however it ends."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.resume import Earlier, Keys
from harness.cli.run_files import Files, keeps_link_record
from harness.cli.session import Outcome, Settings
from harness.cli.telling import tell_of_run
from harness.cli.workers import events_of, possible_workers, without_busy
from harness.errors import HilError, InternalError, TargetUnavailable
from harness.spread.events import Event, Finished, Lost, Progressed, Started

if TYPE_CHECKING:
    from rich.console import Console

    from harness.report.progress import RunsProgress
    from harness.transport.recording import Recording
    from harness.validation import Validation


def run_models(
    models: Sequence[Path],
    settings: Settings,
    files: Files,
    workers: int = 1,
    cluster: str | None = None,
    *,
    resume: bool = False,
    verbose: bool = False,
    before_record: Callable[[Validation], None] = lambda _: None,
    before_verdict: Callable[[Validation], None] | None = None,
) -> list[Validation | Earlier]:
    """Validate every model and print each as it is done; a verdict, or a table of all, ends the output.

    Args:
        models: model files.
        settings: the target, and what else is the same for all of them.
        files: what to read and to write.
        workers: how many are validated at once; each worker has one target session.
        cluster: address of a dask scheduler, whose workers validate instead.
        resume: leave out models whose records say that nothing has changed.
        verbose: show all that the devices tell.
        before_record: judges a run by something more, before anything is told or written of it.
        before_verdict: prints something more of a run.
    """
    from harness.report.progress import RunsProgress
    from harness.report.terminal import board_name_of, make_console, print_files, print_summary, print_verdict

    console = make_console()
    settings, busy = without_busy(settings)
    choice, workers = settings.choice, possible_workers(min(workers, len(models)), settings)
    named = "; ".join(map(str, settings.choices))
    where = f", by the dask scheduler at {cluster}" if cluster else f", {workers} at once" if workers > 1 else ""
    console.print(f"target  {named}{where}", markup=False)
    for error in busy:
        console.print(f"note    left out: {error.message}", markup=False)
    recording = files.begin(choice, workers if cluster is None else 0)
    if settings.computation.bit_exact and choice.kind == "native":
        console.print("note    --bit-exact on native compares two runs of one program")
    keys = Keys(settings)
    known = files.earlier(models, keys, settings) if resume else {}
    if known:
        console.print(f"note    {len(known)} of {len(models)} were validated before, and nothing has changed since")
    left = [place for place in range(len(models)) if place not in known]
    jobs = [files.of(models[place]) for place in left]
    keys_before = [keys.of(job) if files.json.is_used else None for job in jobs]
    runs: dict[int, Validation] = {}
    boards: dict[int, str] = {}
    elsewhere: set[int] = set()

    def conclude(place: int, outcome: Outcome) -> None:
        before_record(outcome.run)
        key = keys.still(keys_before[place], jobs[place], outcome)
        if keys_before[place] is not None and keys.asked_elsewhere(outcome):
            elsewhere.add(place)
        _conclude(console, outcome, settings, files, recording, key)
        tell_of_run(outcome.run, verbose=verbose)
        _print_more(outcome.run, before_verdict)
        if len(models) > 1:
            print_verdict(console, outcome.run)
        runs[left[place]] = outcome.run
        if len(settings.choices) > 1 and outcome.target is not None:
            boards[left[place]] = board_name_of(outcome.target)

    with RunsProgress(console, len(jobs), workers) as progress:
        events = events_of(jobs, settings, recording, workers, progress, cluster)
        _follow(console, events, [job.model for job in jobs], settings, files, progress, conclude)
    _tell_of_elsewhere(console, len(elsewhere), len(models))
    print_files(console, files.write_index([runs[place] for place in left]))
    if recording is not None:
        is_kept = files.record is not None or any(map(keeps_link_record, runs.values()))
        _end_recording(console, recording, is_kept=is_kept)
    ends: list[Validation | Earlier] = [known[place] if place in known else runs[place] for place in range(len(models))]
    if len(models) > 1 or known:
        print_summary(console, ends, [boards.get(place, "") for place in range(len(models))] if boards else None)
    else:
        print_verdict(console, runs[0])
    return ends


def _tell_of_elsewhere(console: Console, count: int, of: int) -> None:
    if count:
        console.print(
            f"note    --resume will run {count} of {of} again: the oracle of their workers is not like the one here"
            " (versions, variables as OMP_NUM_THREADS, processor); dask's nanny sets such: start them with --no-nanny"
        )


def _end_recording(console: Console, recording: Recording, *, is_kept: bool) -> None:
    from harness.report.terminal import print_files

    if not is_kept:
        recording.path.unlink(missing_ok=True)
        return
    print_files(console, [recording.path])
    if recording.problem is not None:
        console.print(f"note    {recording.problem}", markup=False)


def _print_more(run: Validation, before_verdict: Callable[[Validation], None] | None) -> None:
    if before_verdict is not None:
        before_verdict(run)


def _follow(
    console: Console,
    events: Iterator[Event[Outcome]],
    models: Sequence[Path],
    settings: Settings,
    files: Files,
    progress: RunsProgress,
    conclude: Callable[[int, Outcome], None],
) -> None:
    """Conclude each model as it is done. However it ends, the workers end too, and each model begun has a record."""
    begun: set[int] = set()
    done: set[int] = set()
    try:
        with closing(events):  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Started):
                    begun.add(event.place)  # first: who has seen the old record go is to find another one
                    files.forget_old(models[event.place])
                    progress.progressed(event.place, 0.0)
                elif isinstance(event, Progressed):
                    progress.progressed(event.place, event.share)
                else:
                    conclude(event.place, _outcome(event, models[event.place], settings))
                    begun.discard(event.place)
                    done.add(event.place)
                    progress.finished(event.place)
    except TargetUnavailable as error:  # no worker is left
        for place in sorted(set(range(len(models))) - done):
            files.forget_old(models[place])
            conclude(place, settings.without_result(models[place], error))
    except BaseException as end:
        code = end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 130
        stopped = HilError("the run was interrupted", code="interrupted", remedy="run it again")
        stopped.fault = "user"
        for place in sorted(begun):
            files.write(settings.without_result(models[place], stopped), settings.choice, exit_code=code)
        if isinstance(end, KeyboardInterrupt | SystemExit):
            _print_interrupted(console, [models[place] for place in sorted(begun)], code)
        raise


def _print_interrupted(console: Console, models: Sequence[Path], exit_code: int) -> None:
    """The last lines of a run that a signal ended."""
    with suppress(OSError):  # its terminal may be gone
        for model in models:
            console.print(f"ERROR {model.name}: interrupted (exit {exit_code})", style="bold red", markup=False)


def _outcome(event: Finished[Outcome] | Lost, model: Path, settings: Settings) -> Outcome:
    if isinstance(event, Finished):
        return event.result
    lost = InternalError(
        f"no worker brought it to its end, the last one: {event.how}",
        code="worker_lost",
        remedy="run it alone, on this machine; if it ends so again, report it with the model (out of memory?)",
    )
    return settings.without_result(model, lost)


def _conclude(
    console: Console,
    outcome: Outcome,
    settings: Settings,
    files: Files,
    recording: Recording | None,
    resume_key: str | None,
) -> None:
    from harness.report.terminal import print_files, print_run

    written = files.write(outcome, settings.choice, recording, resume_key=resume_key)
    print_run(console, outcome.run, outcome.target)
    print_files(console, written)
