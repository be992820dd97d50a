"""Who validates the models of a command line: this process, several, or the workers of a cluster."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from harness.cli.lazy_workbench import pool_of
from harness.cli.options import ready_target, say
from harness.cli.session import ModelFiles, Outcome, Settings
from harness.errors import TargetBusy, TargetUnavailable, UsageError
from harness.spread.events import Event
from harness.spread.here import run_here
from harness.targets.choice import TargetChoice

if TYPE_CHECKING:
    from harness.report.progress import RunsProgress
    from harness.transport.recording import Recording


def checked_workers(
    workers: int | None, targets: Sequence[TargetChoice], record: Path | None, cluster: str | None = None
) -> int:
    """How many workers there are to be; what they cannot do is refused before anything is started.

    Raises:
        UsageError: no worker at all, or more than boards, or several in one recording, or boards for a cluster.
    """
    if cluster is not None:
        _check_cluster(workers, targets, record)
        return 1
    count = len(targets) if workers is None else workers
    if count < 1:
        raise UsageError(f"-j is {count}", remedy="give -j a number of at least 1")
    if count == 1:
        return 1
    boards = [target for target in targets if target.kind == "board"]
    if boards and count > len(boards):
        raise UsageError(
            f"-j {count} is more than the {len(boards)} given ({'; '.join(map(str, boards))})",
            remedy="leave out -j, or choose an emulator",
        )
    if record is not None:
        raise UsageError(
            f"--record holds one session, and {count} workers have {count}",
            remedy="leave out one of the two, or give -j 1",
        )
    return count


def _check_cluster(workers: int | None, targets: Sequence[TargetChoice], record: Path | None) -> None:
    """What a cluster cannot do."""
    if workers is not None:
        raise UsageError(
            "-j and --dask were both given", remedy="leave out -j: a cluster has as many workers as were started"
        )
    if targets[0].kind == "board":
        raise UsageError(
            f"--dask and {targets[0]} were both given: each worker of a cluster has an emulator of its own",
            remedy="choose an emulator, or leave out --dask",
        )
    if record is not None:
        raise UsageError("--record and --dask were both given", remedy="leave out one: a record is of one session")


def without_busy(settings: Settings) -> tuple[Settings, tuple[TargetBusy, ...]]:
    """Without those of several boards that somebody else uses, where one is free; and who uses them.

    Where all are in use or one is not there at all, each model is told in its turn.
    """
    if len(settings.choices) == 1:
        return settings, ()
    try:
        free, busy = pool_of(settings.choices).free()
    except TargetUnavailable:
        return settings, ()
    return (replace(settings, choices=free), busy) if free else (settings, ())


def possible_workers(workers: int, settings: Settings) -> int:
    """How many workers there can be: one where the target is not available, which each model is then told once."""
    workers = min(workers, len(settings.choices)) if settings.choice.kind == "board" else workers
    if workers == 1:
        return 1
    host = [TargetChoice("native")] if settings.computation.bit_exact else []
    try:
        for choice in (*settings.choices, *host):  # here, since workers would build the firmware all at the same time
            ready = ready_target(choice)
            if choice.kind == "board" and (reason := ready.unavailable()) is not None:
                raise reason
    except TargetUnavailable:
        return 1
    return workers


def events_of(
    jobs: Sequence[ModelFiles],
    settings: Settings,
    recording: Recording | None,
    workers: int,
    progress: RunsProgress,
    cluster: str | None = None,
) -> Iterator[Event[Outcome]]:
    """What happens to the models.

    Args:
        jobs: the models.
        settings: what is the same for all of them.
        recording: of the one session, where there is only one.
        workers: processes of this machine.
        progress: told of the model at hand, where there is one worker.
        cluster: address of a dask scheduler whose workers take the place of processes.
    """
    if cluster is not None:
        from harness.cli.remote import identity, run_task, task_of
        from harness.spread.cluster import run_on_cluster

        tasks = [task_of(job, settings) for job in jobs]
        return run_on_cluster(cluster, run_task, tasks, identity=identity, say=say)
    if workers == 1:
        return run_here(lambda: settings.session(recording, progress.doing), jobs, progress.progressed)
    from harness.spread.processes import run_over_processes

    return run_over_processes(settings.session, jobs, workers)
