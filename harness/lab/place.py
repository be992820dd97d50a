"""A labgrid place, acquired for as long as we need it."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from harness.errors import TargetBusy, TargetUnavailable
from harness.lab import keeper
from harness.lab.find import find_client
from harness.lab.shown import Resource, acquired_by, acquired_resources

_RELEASE_TIMEOUT_S = 35.0
"""The keeper gives the client 30 s."""

_IS_TAKEN = "already acquired"
"""In the client's complaint that somebody has the place: another user, or this one elsewhere."""

_SERIAL = "NetworkSerialPort"
"""labgrid's class of a serial port behind a network."""


class LabPlace:
    """A place by its name or alias. Not acquired when made.

    Args:
        name: as labgrid's coordinator knows it.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._keeper: subprocess.Popen[bytes] | None = None
        self._url = ""

    def acquire(self) -> str:
        """The URL of its serial port; nothing new if it is acquired. Never waits for somebody else.

        Raises:
            TargetBusy: somebody else has it.
            TargetUnavailable: there is no such place, no client, no coordinator, or no serial port.
        """
        if self._keeper is not None:
            return self._url
        script = [sys.executable, "-I", keeper.__file__, str(find_client()), self.name]
        self._keeper = subprocess.Popen(
            script,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us alone, and it must live to release the place
        )
        try:
            assert self._keeper.stdout is not None
            answer: dict[str, Any] = json.loads(self._keeper.stdout.readline() or b"{}")
            self._url = self._url_of(answer)
        except BaseException:
            self.release()
            raise
        return self._url

    def release(self) -> None:
        """Let others have it. May be called twice, and without `acquire`."""
        if self._keeper is None:
            return
        process, self._keeper = self._keeper, None
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(_RELEASE_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass  # it goes on without us
        process.stdout.close()

    def _url_of(self, answer: dict[str, Any]) -> str:
        shown = str(answer.get("shown", ""))
        if not answer.get("acquired"):
            error = str(answer.get("error", "no answer"))
            holder = acquired_by(shown)
            if holder is not None or _IS_TAKEN in error:  # it may have been released between the two questions
                raise TargetBusy(
                    f"labgrid place {self.name} is acquired by {holder or f'somebody else: {error}'}",
                    code="place_busy",
                    remedy="wait for it with --wait SECONDS (pytest: --hil-wait), or have it released there: "
                    f"`labgrid-client -p {self.name} release`",
                )
            raise self._unusable(
                f"was not acquired: {error}",
                remedy="look whether LG_COORDINATOR is HOST:PORT of labgrid's coordinator (default 127.0.0.1:20408), "
                "`labgrid-client places` lists the place, and its exporter runs",
            )
        if answer["error"] is not None:
            raise self._unusable(f"cannot be shown: {answer['error']}", remedy="run again")
        try:
            resources = acquired_resources(shown)
        except ValueError as error:
            raise self._unusable(str(error), remedy="use the version that `hil setup labgrid` installs") from error
        return self._serial_url(resources)

    def _serial_url(self, resources: list[Resource]) -> str:
        ports = [resource for resource in resources if resource.kind == _SERIAL]
        if len(ports) != 1:
            found = ", ".join(resource.path for resource in resources) or "nothing"
            raise self._unusable(
                f"has {len(ports)} serial ports: it holds {found}",
                remedy="make a place whose matches name the board's one serial port: labgrid-client add-match",
            )
        params = ports[0].params
        extra = params.get("extra") or {}
        if extra.get("proxy_required"):
            raise self._unusable(
                f"is behind the isolated exporter {extra.get('proxy')}, which only labgrid's own SSH tunnels reach",
                remedy="run hil on a machine of the exporter's network, or start labgrid-exporter without --isolated",
            )
        host, number = params.get("host"), params.get("port")
        if not ports[0].is_there or not host or not number:
            raise self._unusable(
                f"has a serial port that is not there: {ports[0].path}",
                remedy="look whether the board is plugged in at its exporter, and at the exporter's messages",
            )
        address = f"[{host}]:{number}" if ":" in str(host) else f"{host}:{number}"
        if params.get("protocol", "rfc2217") == "raw":
            return f"socket://{address}"
        return f"rfc2217://{address}?ign_set_control"  # as labgrid opens it; we use no modem lines

    def _unusable(self, what: str, *, remedy: str) -> TargetUnavailable:
        return TargetUnavailable(f"labgrid place {self.name} {what}", code="labgrid_place", remedy=remedy)
