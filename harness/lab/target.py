"""The board of a labgrid place: a board at a port that is known only once the place is acquired."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from harness.errors import HilError
from harness.lab.find import find_client
from harness.lab.place import LabPlace
from harness.targets.base import LeftRunning
from harness.targets.board import BoardTarget
from harness.targets.lock import retry_while_busy
from harness.targets.retry import retry_for
from harness.transport.base import Transport

_POLL_S = 2.0
"""Between two tries for a place that somebody else has: each takes the client 1 s."""

_LISTENING_TIMEOUT_S = 10.0
"""An exporter starts ser2net for who acquires a place, and takes it for ready when it has not ended within 0.5 s: on a
small or busy machine it listens later."""

_LOOK_S = 0.25
"""Between two tries whether it does."""


class LabgridTarget(LeftRunning):
    """A board in a lab. It is not flashed: labgrid exports its serial port, and no probe.

    Args:
        place: where it is.
        board_at: makes the board at a port.
        name: of the board.
        wait_s: how long to wait for the place while somebody else has it.
        say: told who is waited for.
    """

    kind = "board"

    def __init__(
        self,
        place: LabPlace,
        board_at: Callable[[str], BoardTarget],
        name: str,
        *,
        wait_s: float = 0.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._place = place
        self._board_at = board_at
        self._name = name
        self._wait_s = wait_s
        self._say = say
        self._board: BoardTarget | None = None
        self._url = ""
        self._has_listened = False

    @property
    def board(self) -> BoardTarget | None:
        """The board, once the place was acquired."""
        return self._board

    def unavailable(self) -> HilError | None:
        """Why there can be none, or None. Whether the place is free only its acquisition tells."""
        try:
            find_client()
        except HilError as error:
            return error
        return None

    def reserve(self, wait_s: float | None = None) -> None:
        """Acquire the place."""
        url = retry_while_busy(
            self._place.acquire, self._wait_s if wait_s is None else wait_s, self._say, poll_s=_POLL_S
        )
        if self._board is None or url != self._url:
            self._board, self._url = self._board_at(url), url

    def release(self) -> None:
        """Release the place."""
        self._has_listened = False
        if self._board is not None:
            self._board.release()
        self._place.release()

    def start(self) -> Transport:
        """Open the board's port, with the place acquired: once its exporter listens there."""
        self.reserve()
        assert self._board is not None
        line = retry_for(_LISTENING_TIMEOUT_S, self._board.start, pause_s=_LOOK_S, is_passing=self._may_listen_later)
        self._has_listened = True
        return line

    def _may_listen_later(self, error: HilError) -> bool:
        return error.code == "port_absent" and not self._has_listened

    def reopen(self) -> Transport:
        """As of a board; the place is still ours."""
        assert self._board is not None, "it was started"
        return self._board.reopen()

    def description(self) -> dict[str, Any]:
        """As of a board, and its place."""
        known: dict[str, Any] = {"name": self._name, "port": None, "serial_number": None, "flashed": None, "notes": []}
        return {**(known if self._board is None else self._board.description()), "labgrid_place": self._place.name}

    def notes(self) -> tuple[str, ...]:
        """As of a board."""
        return () if self._board is None else self._board.notes()
