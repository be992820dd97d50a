"""Every error that the harness raises, in one tree that says who is at fault.

    HilError                       a cause with a code, a message, a remedy and an exit code
    +-- UsageError         exit 2  the user: a wrong option, an unusable file
    |   +-- ModelRefused           the model has something that the device cannot run, or is too large
    |   +-- InputsRefused          the inputs do not fit the model
    +-- TargetUnavailable  exit 3  the rig: a tool, an emulator or a board that is not there
    |   +-- BuildFailed            the firmware could not be built
    |   +-- TargetBusy             somebody else uses it
    +-- FlashError         exit 4  the rig: the program could not be written to the board
    +-- LinkError          exit 5  the cable: nothing, or nothing intelligible, came back
    |   +-- LinkTimeout            no valid answer in time, after all retries
    |   +-- LinkClosed             the port, socket or process went away
    +-- MismatchError      exit 6  the firmware: another protocol, or an answer that breaks the protocol
    +-- DeviceError        exit 7  the device: it answered, and the answer was no
    |   +-- DeviceReset            it restarted in the middle of the session
    |       +-- DeviceFault        and says why: a fault, or its watchdog
    +-- OracleError        exit 8  the numbers: the reference itself cannot be trusted here
    +-- ReplayDeviation    exit 6  the harness: it sent other bytes than the recorded one did
    +-- LocalProtocolError exit 6  the harness itself broke the protocol's rules: a bug of ours
    +-- InternalError      exit 6  anything else that should not happen: a bug of ours

A result out of tolerance (exit 1) is not an exception: it is a verdict.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Any


class ExitCode(IntEnum):
    """Exit codes of `hil`, one per cause."""

    PASS = 0
    OUT_OF_TOLERANCE = 1
    USAGE = 2
    TARGET = 3
    FLASH = 4
    LINK = 5
    MISMATCH = 6
    DEVICE = 7
    ORACLE = 8


class HilError(Exception):
    """A failure with a cause.

    Attributes:
        message: what happened, in one or two sentences.
        code: a stable identifier for scripts, lower case with underscores.
        remedy: what the person who reads it can do next.
        first: the error that made somebody look closer and find this one; None: it is the first.
    """

    exit_code: ExitCode = ExitCode.DEVICE
    fault: str = "harness"

    def __init__(self, message: str, *, code: str = "", remedy: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.code = code or _snake_case(type(self).__name__)
        self.remedy = remedy
        self.first: HilError | None = None

    def __str__(self) -> str:
        """What happened, and what to do: all that a failed test shows."""
        return f"{self.message}; {self.remedy}" if self.remedy else self.message


class UsageError(HilError):
    """A wrong option or an unusable file."""

    exit_code = ExitCode.USAGE
    fault = "user"


class ModelRefused(UsageError):
    """The model holds something that the device cannot run, or it does not fit."""


class InputsRefused(UsageError):
    """The inputs do not match the model."""


class TargetUnavailable(HilError):
    """A tool, an emulator or a board that was asked for is not there."""

    exit_code = ExitCode.TARGET
    fault = "rig"


class BuildFailed(TargetUnavailable):
    """The firmware could not be built."""


class TargetBusy(TargetUnavailable):
    """Somebody else uses the board."""


class FlashError(HilError):
    """The program could not be written to the board."""

    exit_code = ExitCode.FLASH
    fault = "rig"


class LinkError(HilError):
    """The link to the device failed."""

    exit_code = ExitCode.LINK
    fault = "cable"


class LinkTimeout(LinkError):
    """No valid answer came in time, after all retries."""


class LinkClosed(LinkError):
    """The port, socket or process at the other end went away."""


class MismatchError(HilError):
    """The firmware speaks another protocol, or broke the one that it claims to speak."""

    exit_code = ExitCode.MISMATCH
    fault = "firmware"


class ReplayDeviation(HilError):
    """A host that talks to a record sent or awaited something else than the recorded one."""

    exit_code = ExitCode.MISMATCH
    fault = "harness"


class LocalProtocolError(HilError):
    """The harness tried to send something that the protocol does not allow. A bug of ours."""

    exit_code = ExitCode.MISMATCH
    fault = "harness"


class InternalError(HilError):
    """Something that should not happen did. A bug of ours."""

    exit_code = ExitCode.MISMATCH
    fault = "harness"


class DeviceError(HilError):
    """The device answered, and the answer was no."""

    exit_code = ExitCode.DEVICE
    fault = "device"


class DeviceReset(DeviceError):
    """The device restarted in the middle of the session; what it held is gone."""


class DeviceFault(DeviceReset):
    """A fault, or the watchdog, ended the firmware's program, and the device restarted.

    Attributes:
        record: what it left, by the names of docs/REPORT.md; empty where that is damaged.
    """

    def __init__(self, message: str, *, code: str = "", remedy: str = "", record: dict[str, Any] | None = None) -> None:
        super().__init__(message, code=code, remedy=remedy)
        self.record = record or {}


class OracleError(HilError):
    """The reference values cannot be trusted for this model and these inputs."""

    exit_code = ExitCode.ORACLE
    fault = "numbers"


def _snake_case(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")
