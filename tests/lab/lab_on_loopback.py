"""A real labgrid on loopback: a coordinator, and an exporter that exports pseudo-terminals."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

from harness.lab.find import find_client
from harness.lab.shown import acquired_by
from harness.targets.process import ChildProcess
from marked_processes import listening_port
from patience import wait_until


def wait_for(condition: Callable[[], bool], what: str) -> None:
    assert wait_until(condition, look_s=0.5), what  # the condition starts a client, which takes as long


class Lab:
    """A coordinator and an exporter; each port is a group of its own and has a place of the group's name.

    Args:
        folder: for configuration and logs.
        ports: pseudo-terminals by name.
    """

    def __init__(self, folder: Path, ports: Mapping[str, str]) -> None:
        self._programs = find_client().parent
        self._processes = [self._start("coordinator", ["-l", "127.0.0.1:0"], folder)]
        try:
            self.coordinator = f"127.0.0.1:{listening_port(self._processes[0]._process.pid)}"
            wait_for(lambda: self._try("places") is not None, f"no coordinator: {folder}")
            config = folder / "exporter.yaml"  # YAML is a superset of JSON
            groups = {name: {"RawSerialPort": {"port": url, "speed": 115200}} for name, url in ports.items()}
            config.write_text(json.dumps(groups))
            options = ["-c", self.coordinator, "-n", "rack", "--hostname", "127.0.0.1", str(config)]
            self._processes.append(self._start("exporter", options, folder))
            for name in ports:
                self.run("-p", name, "create")
                self.run("-p", name, "add-match", f"rack/{name}/*")
            wait_for(lambda: self.run("resources").count("rack/") == len(ports), f"no exporter: {folder}")
        except BaseException:
            self.stop()
            raise

    def run(self, *arguments: str, user: str | None = None) -> str:
        """What the client prints."""
        output = self._try(*arguments, user=user)
        assert output is not None, arguments
        return output

    def holder(self, place: str) -> str | None:
        """HOST/USER that has a place."""
        return acquired_by(self.run("-p", place, "show"))

    def stop(self) -> None:
        """End all."""
        for process in reversed(self._processes):
            process.stop()

    def _start(self, name: str, options: list[str], folder: Path) -> ChildProcess:
        path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin"))  # where ser2net is
        environment = {**os.environ, "PATH": path, "PYTHONUNBUFFERED": "1"}
        program = str(self._programs / f"labgrid-{name}")
        there = ["/bin/sh", "-c", 'cd "$0" && exec "$@"', str(folder)]  # the coordinator keeps its places where it is
        return ChildProcess([*there, program, *options], folder / f"{name}.log", env=environment)

    def _try(self, *arguments: str, user: str | None = None) -> str | None:
        environment = {**os.environ, **({} if user is None else {"LG_USERNAME": user})}
        command = [str(self._programs / "labgrid-client"), "-x", self.coordinator, *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        return done.stdout if done.returncode == 0 else None
