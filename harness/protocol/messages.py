"""Every message as a frozen record. The C structs of firmware/lib/wire/wire_defs.h are generated from these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from harness.protocol.records import Record, raw, tail, text, u8, u16, u32, u64
from harness.protocol.wire import (
    BeginFlags,
    Capability,
    ClockSource,
    ErrorCode,
    ErrorGroup,
    MessageType,
    Region,
    ResetCause,
    RunFlags,
    RunsOn,
    TickSource,
    Trace,
)

ReplyT = TypeVar("ReplyT", bound="Reply")


@dataclass(frozen=True, kw_only=True)
class Header(Record):
    """What every frame begins with."""

    C_NAME: ClassVar[str] = "header"

    type: int = u8("message type; a reply has bit 7 set")
    flags: int = u8("0")
    sequence: int = u16("number of the request; a reply and an event repeat it")
    session: int = u32("session id; device frames carry the one in force, 0 after boot")


@dataclass(frozen=True, kw_only=True)
class Message(Record):
    """A frame's payload."""

    TYPE: ClassVar[MessageType]


@dataclass(frozen=True, kw_only=True)
class Reply(Message):
    """What the device answers."""


@dataclass(frozen=True, kw_only=True)
class Request(Message, Generic[ReplyT]):
    """What the host asks. The type parameter is the reply that it gets."""

    REPLY: ClassVar[type[Any]]


@dataclass(frozen=True, kw_only=True)
class HelloReply(Reply):
    """Who the device is and how much it holds. The first two fields never move."""

    TYPE: ClassVar = MessageType.HELLO
    C_NAME: ClassVar[str] = "hello_reply"
    LEAST_BYTES: ClassVar[int] = 312  # of version 1.0: a device that runs an older firmware can be asked what it is

    protocol_major: int = u16("protocol version, major")
    protocol_minor: int = u16("protocol version, minor")
    capabilities: Capability = u32("bits of capability")
    max_payload_bytes: int = u16("largest payload, both ways")
    rx_frames: int = u8("requests that may be under way at once; minor version 0: 1")
    runs_on: RunsOn = u8("what executes the firmware", enum=RunsOn)
    arena_bytes: int = u32("memory for images, state and buffers")
    max_nodes: int = u16("most nodes in an image")
    clock_source: ClockSource = u8("where the system clock comes from", enum=ClockSource)
    tick_source: TickSource = u8("what the tick counter counts", enum=TickSource)
    sysclk_hz: int = u32("system clock; 0 where there is none")
    uart_clock_hz: int = u32("clock of the USART; 0 where there is none")
    baud: int = u32("baud in force; 0 where there is none")
    cpuid: int = u32("SCB CPUID; 0 on native")
    idcode: int = u32("DBGMCU_IDCODE; 0 on QEMU and native")
    model_crc32: int = u32("the CRC-32 that ends the image in force; 0 if none")
    model_bytes: int = u32("size of the image in force; 0 if none")
    store_address: int = u32("where the flash store for a large image lies; 0 if there is none")
    store_bytes: int = u32("size of the flash store; 0 if there is none")
    unique_id: bytes = raw(12, "96-bit unique device id; zeros where there is none")
    build_id: bytes = raw(20, "the linker's build id (SHA-1) of the program")
    version: str = text(16, "version of the firmware")
    compiler: str = text(48, "compiler and its version")
    compiler_flags: str = text(160, "flags that the program was compiled with")
    board: str = text(16, "board that the program is made for; empty on native (since 1.1)")
    reset_cause: ResetCause = u32("bits of reset_cause; 0 where that is not known (since 1.1)")
    fault_crc32: int = u32("the CRC-32 that ends the fault record; 0: there is none (since 1.1)")


@dataclass(frozen=True, kw_only=True)
class Hello(Request[HelloReply]):
    """Opens a session. The session id is in the header."""

    TYPE: ClassVar = MessageType.HELLO
    REPLY: ClassVar = HelloReply
    C_NAME: ClassVar[str] = "hello"

    protocol_major: int = u16("the host's protocol version, major")
    protocol_minor: int = u16("the host's protocol version, minor")


@dataclass(frozen=True, kw_only=True)
class EchoReply(Reply):
    """The same bytes."""

    TYPE: ClassVar = MessageType.ECHO

    data: bytes = tail("the request's bytes")


@dataclass(frozen=True, kw_only=True)
class Echo(Request[EchoReply]):
    """Sends bytes to have them back."""

    TYPE: ClassVar = MessageType.ECHO
    REPLY: ClassVar = EchoReply

    data: bytes = tail("any bytes")


@dataclass(frozen=True, kw_only=True)
class CountersReply(Reply):
    """Link counters since boot, as the device saw them."""

    TYPE: ClassVar = MessageType.COUNTERS
    C_NAME: ClassVar[str] = "counters_reply"
    LEAST_BYTES: ClassVar[int] = 44  # of version 1.0

    frames_received: int = u32("frames with a right CRC")
    crc_errors: int = u32("frames with a wrong CRC")
    framing_errors: int = u32("frames that are no COBS or are too short")
    oversized_frames: int = u32("frames longer than the buffer")
    duplicates: int = u32("requests answered from the kept reply")
    ring_overflows: int = u32("bytes lost because the receive ring was full")
    uart_overruns: int = u32("bytes lost in the USART (ORE)")
    uart_noise: int = u32("bytes with noise, framing or parity error in the USART")
    bytes_received: int = u32("bytes taken from the receive ring")
    bytes_sent: int = u32("bytes given to the transmit ring")
    stack_bytes: int = u32("most bytes of stack in use since boot; 0: not known")
    logs_dropped: int = u32("LOGs for which there was no room (since 1.1)")
    fpscr: int = u32("FPSCR of what computes: how it rounds, and what has happened; 0 without FPU (since 1.2)")


@dataclass(frozen=True, kw_only=True)
class Counters(Request[CountersReply]):
    """Asks for the link counters."""

    TYPE: ClassVar = MessageType.COUNTERS
    REPLY: ClassVar = CountersReply


@dataclass(frozen=True, kw_only=True)
class ResetReply(Reply):
    """Sent before the restart."""

    TYPE: ClassVar = MessageType.RESET


@dataclass(frozen=True, kw_only=True)
class Reset(Request[ResetReply]):
    """Restarts the device; session, image and state are gone."""

    TYPE: ClassVar = MessageType.RESET
    REPLY: ClassVar = ResetReply


@dataclass(frozen=True, kw_only=True)
class SetBaudReply(Reply):
    """Sent at the old baud, with the new one in force behind its last bit."""

    TYPE: ClassVar = MessageType.SET_BAUD
    C_NAME: ClassVar[str] = "set_baud_reply"

    baud: int = u32("the baud that the device really has, rounded")


@dataclass(frozen=True, kw_only=True)
class SetBaud(Request[SetBaudReply]):
    """Changes the baud, until the next restart or until the device hears nothing valid (since 1.1)."""

    TYPE: ClassVar = MessageType.SET_BAUD
    REPLY: ClassVar = SetBaudReply
    C_NAME: ClassVar[str] = "set_baud"

    baud: int = u32("bits per second")


@dataclass(frozen=True, kw_only=True)
class Fault(Reply):
    """A fault ended the program, and the device has restarted. Unasked, in session 0; see *Faults*."""

    TYPE: ClassVar = MessageType.FAULT
    C_NAME: ClassVar[str] = "fault"

    magic: int = u32("FAULT_MAGIC")
    cause: int = u32("fault_cause")
    exception: int = u32("number of the exception that was taken (IPSR)")
    pc: int = u32("address of the instruction; 0: not known")
    lr: int = u32("link register; without pc a return address found on the stack, or 0")
    xpsr: int = u32("program status; 0 without pc")
    sp: int = u32("stack pointer before the exception")
    exc_return: int = u32("EXC_RETURN: what the program was doing")
    cfsr: int = u32("SCB CFSR: configurable fault status")
    hfsr: int = u32("SCB HFSR: hard fault status")
    mmfar: int = u32("SCB MMFAR: address that the MPU refused, if CFSR says so")
    bfar: int = u32("SCB BFAR: address that the bus refused, if CFSR says so")
    count: int = u32("faults since a record was last cleared, this one included")
    build_id: bytes = raw(20, "build id of the program that faulted")
    crc32: int = u32("CRC-32 of the fields before it")


@dataclass(frozen=True, kw_only=True)
class ReadFaultReply(Fault):
    """The fault record, as it was before it was cleared; with cause NONE if there is none. Fields: those of FAULT."""

    TYPE: ClassVar = MessageType.READ_FAULT
    C_NAME: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class ReadFault(Request[ReadFaultReply]):
    """Reads the fault record, and clears it if it is the one that the host has read."""

    TYPE: ClassVar = MessageType.READ_FAULT
    REPLY: ClassVar = ReadFaultReply
    C_NAME: ClassVar[str] = "read_fault"

    clear_crc32: int = u32("CRC-32 of the record that is to be cleared; 0: only read")


@dataclass(frozen=True, kw_only=True)
class ImageBeginReply(Reply):
    """It fits, and there is room for it now."""

    TYPE: ClassVar = MessageType.IMAGE_BEGIN
    C_NAME: ClassVar[str] = "image_begin_reply"

    needed_bytes: int = u32("image and work memory, as laid out in the arena")
    free_bytes: int = u32("what was free for it")
    arena_bytes: int = u32("the whole arena")


@dataclass(frozen=True, kw_only=True)
class ImageBegin(Request[ImageBeginReply]):
    """Announces an image. Refused with the numbers where it does not fit; the image in force stays."""

    TYPE: ClassVar = MessageType.IMAGE_BEGIN
    REPLY: ClassVar = ImageBeginReply
    C_NAME: ClassVar[str] = "image_begin"

    image_bytes: int = u32("size of the image")
    work_bytes: int = u32("work memory that it needs, as its header says")
    flags: BeginFlags = u32(
        "DROP_OLD: give up the image in force first; IN_STORE: it is in the store; TO_STORE: write it there"
    )


@dataclass(frozen=True, kw_only=True)
class ImageCommitReply(Reply):
    """The image is in force."""

    TYPE: ClassVar = MessageType.IMAGE_COMMIT
    C_NAME: ClassVar[str] = "image_commit_reply"

    crc32: int = u32("CRC-32 that the device computed over the image's bytes before its own CRC-32")
    node_count: int = u32("nodes in it")


@dataclass(frozen=True, kw_only=True)
class ImageCommit(Request[ImageCommitReply]):
    """Checks the announced image and puts it in force; until then the old one stays."""

    TYPE: ClassVar = MessageType.IMAGE_COMMIT
    REPLY: ClassVar = ImageCommitReply
    C_NAME: ClassVar[str] = "image_commit"

    crc32: int = u32("the CRC-32 that ends the announced image")


@dataclass(frozen=True, kw_only=True)
class WriteReply(Reply):
    """The bytes are in place."""

    TYPE: ClassVar = MessageType.WRITE
    C_NAME: ClassVar[str] = "write_reply"

    end_offset: int = u32("offset behind the last byte written")


@dataclass(frozen=True, kw_only=True)
class Write(Request[WriteReply]):
    """Writes bytes at an offset of a region. Writing the same twice does no harm."""

    TYPE: ClassVar = MessageType.WRITE
    REPLY: ClassVar = WriteReply
    C_NAME: ClassVar[str] = "write"

    region: Region = u8("IMAGE (the announced one, unless IN_STORE), INPUT, STATE_H or STATE_C", enum=Region)
    reserved: int = u8("0")
    node: int = u16("node of STATE_H and STATE_C; else 0")
    offset: int = u32("bytes from the start of the region")
    data: bytes = tail("the bytes")


@dataclass(frozen=True, kw_only=True)
class ReadReply(Reply):
    """The bytes asked for."""

    TYPE: ClassVar = MessageType.READ

    data: bytes = tail("the bytes")


@dataclass(frozen=True, kw_only=True)
class Read(Request[ReadReply]):
    """Reads bytes at an offset of a region."""

    TYPE: ClassVar = MessageType.READ
    REPLY: ClassVar = ReadReply
    C_NAME: ClassVar[str] = "read"

    region: Region = u8("IMAGE (the one in force), INPUT, OUTPUT, STATE_H, STATE_C or GATES", enum=Region)
    reserved: int = u8("0")
    node: int = u16("node of OUTPUT, STATE_H, STATE_C and GATES; else 0")
    offset: int = u32("bytes from the start of the region")
    length: int = u32("bytes to read")


@dataclass(frozen=True, kw_only=True)
class StateResetReply(Reply):
    """h, c and outputs are zero."""

    TYPE: ClassVar = MessageType.STATE_RESET


@dataclass(frozen=True, kw_only=True)
class StateReset(Request[StateResetReply]):
    """Sets h, c and the outputs of every node to zero."""

    TYPE: ClassVar = MessageType.STATE_RESET
    REPLY: ClassVar = StateResetReply


@dataclass(frozen=True, kw_only=True)
class RunReply(Reply):
    """What the steps computed: a record a step, then (END) the outputs computed after the last step."""

    TYPE: ClassVar = MessageType.RUN
    C_NAME: ClassVar[str] = "run_reply"

    steps: int = u16("steps that were run")
    reserved: int = u16("0")
    reserved2: int = u32("0")
    ticks: int = u64("ticks spent in the steps, of the announced tick source")
    data: bytes = tail("float32 records, see docs/PROTOCOL.md")


@dataclass(frozen=True, kw_only=True)
class Run(Request[RunReply]):
    """Runs time steps. State stays on the device between requests."""

    TYPE: ClassVar = MessageType.RUN
    REPLY: ClassVar = RunReply
    C_NAME: ClassVar[str] = "run"

    steps: int = u16("time steps")
    flags: RunFlags = u8("RESET_STATE first, END after the last step, MASK given, STAGED_INPUT", enum=RunFlags)
    trace: Trace = u8("what the reply holds of each step", enum=Trace)
    pass_index: int = u8("pass that the steps are of")
    reserved: int = u8("0")
    reserved2: int = u16("0")
    data: bytes = tail(
        "with MASK a bit a step, padded to 4 bytes; then float32 x[steps][input_size], if the pass reads it"
    )


@dataclass(frozen=True, kw_only=True)
class Working(Reply):
    """What was heard and what was not: repeat the latter. Answers a request that came again or before its turn."""

    TYPE: ClassVar = MessageType.WORKING
    C_NAME: ClassVar[str] = "working"

    steps_done: int = u32("steps done so far of a run that is under way; else 0")
    due: int = u16("number of the next request to be worked on: all before it were heard")
    held: int = u16("bit k: request due + k was heard too, and waits for its turn")


@dataclass(frozen=True, kw_only=True)
class Busy(Reply):
    """The device hears nothing for a while: the host sends nothing and waits on. Comes before the reply, unasked."""

    TYPE: ClassVar = MessageType.BUSY
    C_NAME: ClassVar[str] = "busy"

    busy_ms: int = u32("how long at most, in milliseconds")


@dataclass(frozen=True, kw_only=True)
class Log(Reply):
    """Something worth telling. Unasked, at any time in a session with a host of version 1.1 or later."""

    TYPE: ClassVar = MessageType.LOG
    C_NAME: ClassVar[str] = "log"

    level: int = u8("log_level")
    reserved: int = u8("0")
    event: int = u16("log_event; one that the host does not know is shown as a number")
    number: int = u32("LOGs since boot, those without room included: a gap is a loss")
    value: int = u32("first value of the event")
    value2: int = u32("second value")
    value3: int = u32("third value")


@dataclass(frozen=True, kw_only=True)
class ErrorReply(Reply):
    """A request was refused and changed nothing."""

    TYPE: ClassVar = MessageType.ERROR
    C_NAME: ClassVar[str] = "error_reply"

    group: ErrorGroup = u8("what it is about", enum=ErrorGroup)
    request_type: int = u8("type of the refused request")
    code: ErrorCode = u16("why", enum=ErrorCode)
    detail: int = u32("first number to the code")
    detail2: int = u32("second number to the code")


REQUESTS: tuple[type[Request[Any]], ...] = (
    Hello, Echo, Counters, Reset, SetBaud, ReadFault, ImageBegin, ImageCommit, Write, Read, StateReset, Run,
)  # fmt: skip
"""Every request, in the order of docs/PROTOCOL.md."""

EVENTS: tuple[type[Reply], ...] = (Working, Busy, Log, Fault, ErrorReply)
"""What the device may send in place of a reply, or unasked."""
