"""What the command line and the pytest plugin share: a target by its name, with its firmware built, and a device on it.

One of the composers: it may import everything that they may.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from types import TracebackType

from harness.build.native import native_executable
from harness.build.paths import work_dir
from harness.build.platformio import firmware_elf
from harness.device import Device
from harness.errors import DeviceError, HilError, LinkError, TargetUnavailable
from harness.targets.base import Target
from harness.targets.native import NativeTarget
from harness.targets.qemu import QemuTarget

TARGET_KINDS = ("qemu", "native")
"""Every target, the default one first."""

Say = Callable[[str], None]


def make_target(kind: str, say: Say, *, count_instructions: bool = False) -> Target:
    """A target with its firmware built.

    Args:
        kind: one of TARGET_KINDS.
        say: told what takes time.
        count_instructions: QEMU only: make ticks executed instructions.

    Raises:
        TargetUnavailable: a tool is missing.
        BuildFailed: the firmware could not be built.
    """
    log_path = work_dir() / "logs" / f"{kind}-{os.getpid()}.log"
    if kind == "qemu":
        return QemuTarget(firmware_elf(say), log_path, count_instructions=count_instructions)
    if kind == "native":
        return NativeTarget(native_executable(), log_path)
    raise ValueError(f"unknown target {kind}")


class Workbench:
    """One target and, once asked for, a greeted device on it.

    A device that failed is discarded; the next call of `device` starts the target anew.
    """

    def __init__(self, target: Target) -> None:
        self.target = target
        self._device: Device | None = None

    def device(self) -> Device:
        """A greeted device.

        Raises:
            TargetUnavailable: the target cannot be started here.
            LinkError, DeviceError, MismatchError: it was started and cannot be talked to.
        """
        if self._device is None:
            reason = self.target.unavailable_reason()
            if reason is not None:
                raise TargetUnavailable(f"{self.target.kind} is not available: {reason}", remedy="run `./hil setup`")
            device = Device(self.target.start())
            try:
                device.connect()
            except HilError as error:
                device.close()
                raise self.failed(error) from error
            self._device = device
        return self._device

    def failed(self, error: HilError) -> HilError:
        """Discard the device after an error; gives the error to report: how the target died, where it did."""
        death = self.target.post_mortem() if isinstance(error, LinkError) else None
        self.close()
        if death is None:
            return error
        return DeviceError(
            f"the firmware on {self.target.kind} died: {death}",
            code="target_died",
            remedy="run again; if it happens again, report it with the log: the firmware must not die",
        )

    def close(self) -> None:
        """End device and target. May be called twice."""
        if self._device is not None:
            self._device.close()
            self._device = None
        self.target.stop()

    def __enter__(self) -> Workbench:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
