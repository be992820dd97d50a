"""A real dask on loopback: a scheduler, and workers as many as asked for."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from harness.targets.process import ChildProcess
from patience import PATIENCE_S, wait_until


class Dask:
    """A scheduler, and its workers.

    Args:
        folder: for its files and logs.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._file = folder / "scheduler.json"
        self._workers: dict[str, ChildProcess] = {}
        options = [
            "--host",
            "127.0.0.1",
            "--port",
            "0",
            "--no-dashboard",
            "--no-show",
            "--scheduler-file",
            str(self._file),
        ]
        self._scheduler = self._start("scheduler", "scheduler", options)
        assert wait_until(self._is_told), self._scheduler.log_tail()
        self.address: str = json.loads(self._file.read_text())["address"]

    def add_worker(self, name: str, environment: Mapping[str, str] | None = None, threads: int = 1) -> None:
        """Start a worker, without dask's nanny: one that is killed stays away."""
        options = ["--host", "127.0.0.1", "--nthreads", str(threads), "--no-nanny", "--no-dashboard", "--name", name]
        options += ["--local-directory", str(self.folder), self.address]
        self._workers[name] = self._start(name, "worker", options, environment)

    def wait_for_workers(self, count: int) -> None:
        """Until so many have come."""
        from distributed import Client

        with Client(self.address, set_as_default=False) as client:
            client.wait_for_workers(count, timeout=PATIENCE_S)

    def stop_workers(self) -> None:
        """End the workers, and wait until the scheduler knows it."""
        from distributed import Client

        for process in self._workers.values():
            os.kill(process._process.pid, signal.SIGKILL)  # a frozen one too
            process.stop()
        self._workers.clear()
        with Client(self.address, set_as_default=False) as client:
            assert wait_until(lambda: not client.scheduler_info()["workers"])

    def _is_told(self) -> bool:
        return self._file.is_file() and self._file.read_text().strip().endswith("}")

    def worker_id(self, name: str) -> int:
        """Of a worker's process."""
        return self._workers[name]._process.pid

    @property
    def scheduler_id(self) -> int:
        """Of the scheduler's process."""
        return self._scheduler._process.pid

    def stop(self) -> None:
        """End all."""
        for process in (*self._workers.values(), self._scheduler):
            process.stop()

    def _start(
        self, name: str, kind: str, options: list[str], environment: Mapping[str, str] | None = None
    ) -> ChildProcess:
        # The script and not `-m`, which would look for modules in this folder first.
        argv = [str(Path(sys.executable).with_name("dask")), kind, *options]
        return ChildProcess(argv, self.folder / f"{name}.log", env={**os.environ, **(environment or {})})
