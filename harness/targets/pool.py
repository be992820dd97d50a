"""Targets that workers share, each used by one worker at a time.

A worker, a thread or a process, takes a free target, uses it as long as it likes, and gives it back:

    pool = Pool(choices, make, wait_s=600, say=say)      # choices: chosen_targets(...); make: workbench.make_target
    pool.check()                                         # once, before any work: raises what is wrong with one of them
    with pool.lease() as target, Workbench(target) as bench:
        ...                                              # the board is ours until the end of the block

A board is leased by its lock (`lock.py`), so leases of several processes keep apart without knowing each other: a
process makes a pool of its own from the same choices, which can be pickled. A lease keeps its board also while
`Workbench` starts the target anew. Native, QEMU and Renode are made anew for every lease, as many as are asked for.

    pool.free()      the boards that nobody uses now, and who uses the others
    pool.lease()     raises TargetBusy (code port_busy) when all are in use for `wait_s`, with each holder named
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from harness.errors import TargetBusy
from harness.targets.base import Target
from harness.targets.choice import TargetChoice
from harness.targets.lock import retry_while_busy


class Pool:
    """Targets to be leased.

    Args:
        choices: the targets; at least one.
        make: makes the target of a choice; called in the thread that leases.
        wait_s: how long a lease may wait for a target that somebody else uses.
        say: told who is waited for.
    """

    def __init__(
        self,
        choices: Sequence[TargetChoice],
        make: Callable[[TargetChoice], Target],
        *,
        wait_s: float = 0.0,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._choices = tuple(choices)
        self._make = make
        self._wait_s = wait_s
        self._say = say

    def check(self) -> None:
        """Raise what keeps one of the targets from being used, if anything does; that somebody uses it does not."""
        for choice in self._choices:
            reason = self._make(choice).unavailable()
            if reason is not None:
                raise reason

    def free(self) -> tuple[tuple[TargetChoice, ...], tuple[TargetBusy, ...]]:
        """The targets that nobody uses at this moment, and for each of the others who does.

        Raises:
            HilError: what a target says that cannot be used at all.
        """
        free, busy = [], []
        for choice in self._choices:
            target = self._make(choice)
            try:
                target.reserve(wait_s=0.0)
                free.append(choice)
            except TargetBusy as error:
                busy.append(error)
            finally:
                target.release()
        return tuple(free), tuple(busy)

    @contextmanager
    def lease(self) -> Iterator[Target]:
        """A target of ours alone, for a `with` block; stopped and given back at its end.

        Raises:
            TargetBusy: all were in use for as long as we may wait.
            HilError: what a target says that cannot be used at all.
        """
        targets = [self._make(choice) for choice in self._choices]
        target = retry_while_busy(lambda: _first_free(targets), self._wait_s, self._say)
        try:
            yield target
        finally:
            target.stop()
            target.release()


def _first_free(targets: Sequence[Target]) -> Target:
    busy = []
    for target in targets:
        try:
            target.reserve(wait_s=0.0)
        except TargetBusy as error:
            busy.append(error)
        else:
            return target
    if len(busy) == 1:
        raise busy[0]
    raise TargetBusy("; ".join(error.message for error in busy), code=busy[0].code, remedy=busy[0].remedy)
