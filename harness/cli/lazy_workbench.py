"""A target that is made when it is first needed, and taken from those that several sessions share."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from harness.cli.options import ready_target, say
from harness.errors import DeviceError, HilError, LinkError, MismatchError, TargetUnavailable
from harness.targets.base import Target
from harness.targets.choice import TargetChoice
from harness.targets.pool import Pool
from harness.ticks import tick_unit

if TYPE_CHECKING:
    from harness.device import Device
    from harness.model.pack import ModelImage
    from harness.protocol.messages import HelloReply
    from harness.transport.recording import Recording
    from harness.workbench import Workbench

_SETTLE_S = 30.0
"""One of several boards was free when the run began. It may take a moment until who looked, or was lost, has let go."""


def pool_of(choices: tuple[TargetChoice, ...], wait_s: float = 0.0) -> Pool:
    """Targets that sessions share, with what they need installed."""
    return Pool(choices, ready_target, wait_s=wait_s, say=say)


class LazyWorkbench:
    """The workbench of a target, made when first needed: a model that is refused needs no firmware.

    Args:
        choices: the target; or several boards, one of which is taken when nobody else uses it.
        recording: every line to it goes in here.
        counts_instructions: QEMU counts them.
    """

    def __init__(
        self,
        choices: tuple[TargetChoice, ...],
        recording: Recording | None = None,
        *,
        counts_instructions: bool = False,
    ) -> None:
        self._choices = choices
        self._counts_instructions = counts_instructions
        self._lease = ExitStack()
        self.recording = recording
        self._workbench: Workbench | None = None
        self._faults: list[dict[str, Any]] = []
        self._unavailable: HilError | None = None

    @property
    def target(self) -> Target | None:
        """The target; None as long as nothing needed it."""
        return None if self._workbench is None else self._workbench.target

    def workbench(self) -> Workbench:
        """It, made if it is not there.

        Raises:
            TargetUnavailable: it cannot be made here.
            HilError: what is wrong with the rig, found when it was used last. Both are said again without another try:
                each would take the next model as long as the first one.
        """
        from harness.workbench import Workbench

        if self._unavailable is not None:
            raise self._unavailable
        if self._workbench is None:
            try:
                self._workbench = Workbench(self._taken(), self.recording, on_fault=self._faults.append)
            except TargetUnavailable as error:
                self._unavailable = error
                raise
        return self._workbench

    def _taken(self) -> Target:
        if len(self._choices) == 1:
            return ready_target(self._choices[0], self.recording, counts_instructions=self._counts_instructions)
        pool = pool_of(self._choices, wait_s=max(self._choices[0].wait_s, _SETTLE_S))
        pool.check()
        return self._lease.enter_context(pool.lease())

    def device_for(self, image: ModelImage) -> Device:
        """A greeted device for an image. Errors: see `Workbench.device_for`."""
        return self.workbench().device_for(image)

    def tick_unit(self, hello: HelloReply) -> str | None:
        """What its ticks are. See `harness.ticks.tick_unit`."""
        return None if self.target is None else tick_unit(hello, self.target.description())

    def take_earlier_fault(self) -> dict[str, Any] | None:
        """The record of a fault that a device had before it was greeted, once."""
        return self._faults.pop() if self._faults else None

    def failed(self, error: HilError) -> HilError:
        """What to report of an error. See `Workbench.failed`."""
        error = error if self._workbench is None else self._workbench.failed(error)
        if error.first is not None:
            self._unavailable = error
        if self.recording is not None and isinstance(error, (LinkError, DeviceError, MismatchError)):
            error.remedy += f"; `hil replay {self.recording.path}` shows what went over the link"
        return error

    def close(self) -> None:
        """End the target, and the recording. May be called twice."""
        if self._workbench is not None:
            self._workbench.close()
        self._lease.close()
        if self.recording is not None:
            self.recording.close()
