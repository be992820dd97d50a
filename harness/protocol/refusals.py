"""What the device's ERROR codes mean to a person."""

from __future__ import annotations

from typing import Any

from harness.errors import DeviceError, HilError, LinkError
from harness.findings import found
from harness.protocol.messages import ErrorReply, Request
from harness.protocol.wire import PROTOCOL_MAJOR, PROTOCOL_MINOR, ErrorCode

_TEXTS = {
    ErrorCode.UNKNOWN_MESSAGE: "it does not know message type {detail}",
    ErrorCode.BAD_LENGTH: "its payload has {detail} bytes, not {detail2}",
    ErrorCode.BAD_SEQUENCE: "request {detail} is due, not {detail2}",
    ErrorCode.BAD_REGION: "there is no region {detail} of node {detail2} to use so",
    ErrorCode.OUT_OF_RANGE: "offset {detail} leaves the region of {detail2} bytes",
    ErrorCode.BAD_FLAGS: "it does not know the flags {detail:#x}",
    ErrorCode.BAD_BAUD: "its USART can at best do {detail} baud instead (0: none at all)",
    ErrorCode.TOO_LARGE: "it needs {detail} bytes, {detail2} are free",
    ErrorCode.NO_LOAD: "no image was announced",
    ErrorCode.CRC_MISMATCH: "the image's CRC-32 is {detail:#010x}, computed was {detail2:#010x}",
    ErrorCode.BAD_MAGIC: "the image begins with {detail:#010x}, not {detail2:#010x}",
    ErrorCode.BAD_IMAGE_VERSION: "the image has version {detail}, this firmware reads {detail2}",
    ErrorCode.BAD_NODE: "node {detail} (kind {detail2}) is unknown or inconsistent",
    ErrorCode.BAD_SIZE: "a size is wrong ({detail}, {detail2})",
    ErrorCode.BAD_TENSOR: "a tensor of node {detail} leaves the image (offset {detail2})",
    ErrorCode.BAD_WORK_SIZE: "the image says {detail} bytes of work memory, it needs {detail2}",
    ErrorCode.STORE_FAILED: "its flash could not be written at {detail:#010x} (FLASH_SR {detail2:#x})",
    ErrorCode.BAD_SOURCE: "source {detail2}, of node {detail}, is unknown, inconsistent or not there in time",
    ErrorCode.NO_MODEL: "no model is loaded",
    ErrorCode.BAD_RUN: "flags {detail:#x} and trace {detail2:#x} do not go together",
    ErrorCode.REPLY_TOO_LARGE: "the reply would have {detail} bytes, at most {detail2}",
    ErrorCode.BAD_PASS: "pass {detail} may not be run now, at most pass {detail2}",
    ErrorCode.BEYOND_SEQUENCE: "step {detail} of the pass is wanted, {detail2} are there",
}


class DeviceRefused(DeviceError):
    """The device refused a request and changed nothing.

    Attributes:
        reply: what it said.
    """

    def __init__(self, reply: ErrorReply, request: Request[Any]) -> None:
        text = _TEXTS[reply.code].format(detail=reply.detail, detail2=reply.detail2)
        super().__init__(
            f"the device refused {type(request).__name__}: {text}",
            code=f"device_{reply.code.name.lower()}",
            remedy="run again; if it stays, flash the firmware that belongs to this version of hil",
        )
        self.reply = reply


def refusal(reply: ErrorReply, request: Request[Any]) -> HilError:
    """The exception that an ERROR stands for."""
    if reply.code == ErrorCode.BAD_VERSION:
        return version_mismatch(reply.detail, reply.detail2)
    if reply.code == ErrorCode.BAD_SESSION:
        return LinkError(
            f"another program talks to this device: session {reply.detail:#010x} is in force, ours was "
            f"{reply.detail2:#010x}",
            code="session_taken",
            remedy="end the other program that uses this port, then run again",
        )
    return DeviceRefused(reply, request)


def version_mismatch(major: int, minor: int) -> HilError:
    """The device speaks this version of the protocol, and we another one."""
    is_newer = (major, minor) > (PROTOCOL_MAJOR, PROTOCOL_MINOR)
    return found(
        "protocol_version",
        theirs=f"{major}.{minor}",
        ours=f"{PROTOCOL_MAJOR}.{PROTOCOL_MINOR}",
        how=("update this hil; or " if is_newer else "") + "`hil flash` puts the firmware of this hil there",
    )
