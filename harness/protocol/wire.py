"""Constants and enumerations of the wire protocol and of the weight image. docs/PROTOCOL.md is their prose.

Each value stands here and nowhere else: `cgen` writes firmware/lib/wire/wire_defs.h from this module.
"""

from __future__ import annotations

import zlib
from enum import IntEnum, IntFlag, unique

PROTOCOL_MAJOR = 1
"""A change that an old peer cannot read. Host and device must agree."""

PROTOCOL_MINOR = 2
"""Appended fields and messages. The older peer ignores what it does not know."""

MAX_PAYLOAD_BYTES = 2064
"""Largest payload of a frame, both ways: 2048 bytes of data and 16 of message head. What goes with it over the line
(head, CRC, COBS, borders) is then 1.5 % of it; with 1024 bytes it would be 2.6 %, and 97 % of the line out of reach."""

WINDOW = 2
"""Requests that may be under way at once. While one of the largest frames is on a line of 1.5 Mbaud there are 14 ms for
the other one's answer to come and for the next one to be sent; a third would cost the device 4 KB of its arena."""

MAX_NODES = 32
"""Most nodes in an image: 32 node records of RAM on the device are 2 KB."""

MAX_SOURCES = 64
"""Most sources of all nodes of an image: two a node, 1 KB of RAM on the device."""

NO_NODE = 0xFFFF
"""As the node of a source: the model's input."""

SESSION_NONE = 0
"""The session id of a device that has booted and not been greeted yet."""

FRAME_DELIMITER = 0
"""COBS leaves this byte out of the frame, so it can only mean a frame's border."""


BOOT_BAUD = 115200
"""What every device begins with, and where a host and a device that have lost each other meet again."""

MAX_BAUD = 1_500_000
"""Highest baud of SET_BAUD: 6.7 us a byte, for which docs/LINK.md shows that the receive interrupt is in time."""

MAX_BAUD_ERROR_PER_MILLE = 15
"""How far the device's rate may be off. A receiver takes 3.3 % from both sides together (RM0390 25.4.5), and the other
side rounds too."""

MIN_BAUD_DIVISOR = 16
"""Cycles of the USART's clock in a bit, at least: it samples a bit 16 times (RM0390 25.4.4)."""

MAX_BAUD_DIVISOR = 0xFFFF
"""And at most: BRR has 16 bits."""

BAUD_FALLBACK_BYTES = 8192
"""A device at another baud than BOOT_BAUD goes there after so many bytes without a valid frame: four of the largest,
and a host on a line that errs sends shorter ones. As many zeros at BOOT_BAUD, 0.7 s, make the device go there too."""


def crc32(data: bytes, start: int = 0) -> int:
    """CRC-32/ISO-HDLC: polynomial 0x04C11DB7 reflected, init and xorout 0xFFFFFFFF; check value 0xCBF43926.

    Args:
        data: bytes to add.
        start: the CRC of the bytes before them.
    """
    return zlib.crc32(data, start)


@unique
class MessageType(IntEnum):
    """First byte of every frame. A reply is its request's type with bit 7 set."""

    HELLO = 0x01
    ECHO = 0x02
    COUNTERS = 0x03
    RESET = 0x04
    SET_BAUD = 0x05
    READ_FAULT = 0x06
    IMAGE_BEGIN = 0x10
    IMAGE_COMMIT = 0x11
    WRITE = 0x18
    READ = 0x19
    STATE_RESET = 0x20
    RUN = 0x21
    WORKING = 0x40
    BUSY = 0x41
    LOG = 0x42
    FAULT = 0x43
    ERROR = 0x7F


REPLY_BIT = 0x80
"""Set in the type of every frame that answers a request."""


@unique
class ErrorGroup(IntEnum):
    """What an ERROR is about."""

    PROTOCOL = 1
    IMAGE = 2
    RUN = 3


@unique
class ErrorCode(IntEnum):
    """Why a request was refused. Unique over all groups; details are named in docs/PROTOCOL.md."""

    UNKNOWN_MESSAGE = 1
    BAD_LENGTH = 2
    BAD_SESSION = 3
    BAD_SEQUENCE = 4
    BAD_VERSION = 5
    BAD_REGION = 7
    OUT_OF_RANGE = 8
    BAD_FLAGS = 9
    BAD_BAUD = 10
    TOO_LARGE = 16
    NO_LOAD = 17
    CRC_MISMATCH = 18
    BAD_MAGIC = 19
    BAD_IMAGE_VERSION = 20
    BAD_NODE = 21
    BAD_SIZE = 22
    BAD_TENSOR = 23
    BAD_WORK_SIZE = 24
    STORE_FAILED = 25
    BAD_SOURCE = 26
    NO_MODEL = 32
    BAD_RUN = 33
    REPLY_TOO_LARGE = 34
    BAD_PASS = 35
    BEYOND_SEQUENCE = 36


@unique
class RunsOn(IntEnum):
    """What executes the firmware, as far as the firmware can tell."""

    UNKNOWN = 0
    CHIP = 1
    QEMU = 2
    RENODE = 3
    NATIVE = 4


@unique
class ClockSource(IntEnum):
    """Where the system clock comes from. The HSI rows are fallbacks."""

    NONE = 0
    HSE_PLL = 1
    HSI_PLL = 2
    HSI = 3


@unique
class TickSource(IntEnum):
    """What the tick counter counts. Only CYCCNT on the chip is cycles."""

    NONE = 0
    CYCCNT = 1
    TIM2 = 2


class Capability(IntFlag):
    """What this firmware can do beyond the protocol's base."""

    MASK = 1
    FPU = 2
    SANITIZERS = 4
    STORE_WRITE = 8


class ResetCause(IntFlag):
    """Why the device restarted last: RCC_CSR's flags (RM0390 6.3.21), and FAULT. A reset often sets several."""

    UNKNOWN = 0
    BROWN_OUT = 1
    PIN = 2
    POWER_ON = 4
    SOFTWARE = 8
    WATCHDOG = 16
    WINDOW_WATCHDOG = 32
    LOW_POWER = 64
    FAULT = 128


FAULT_MAGIC = int.from_bytes(b"HILF", "little")
"""First word of a fault record."""


@unique
class FaultCause(IntEnum):
    """What ended the program, of which a fault record tells."""

    NONE = 0
    HARD_FAULT = 1
    MEMORY_FAULT = 2
    BUS_FAULT = 3
    USAGE_FAULT = 4
    STACK_OVERFLOW = 5
    UNEXPECTED_EXCEPTION = 6
    WATCHDOG = 7


@unique
class LogLevel(IntEnum):
    """How much a LOG matters."""

    INFO = 1
    WARNING = 2
    ERROR = 3


@unique
class LogEvent(IntEnum):
    """What a LOG tells of. The text and what its values are stand in docs/PROTOCOL.md."""

    BOOTED = 1
    IMAGE_IN_FORCE = 2
    STORE_ERASED = 3
    FRAMES_DROPPED = 4


class BeginFlags(IntFlag):
    """Options of IMAGE_BEGIN."""

    NONE = 0
    DROP_OLD = 1
    IN_STORE = 2
    TO_STORE = 4


class RunFlags(IntFlag):
    """Options of RUN."""

    NONE = 0
    RESET_STATE = 1
    END = 2
    MASK = 4
    STAGED_INPUT = 8


class Trace(IntFlag):
    """What RUN's reply holds of each step."""

    NONE = 0
    H = 1
    C = 2
    OUTPUT = 4
    FINAL_STATE = 8
    LAST_OUTPUT = 16
    GATES = 32


@unique
class Region(IntEnum):
    """What READ and WRITE address."""

    IMAGE = 0
    INPUT = 1
    OUTPUT = 2
    STATE_H = 3
    STATE_C = 4
    GATES = 5


IMAGE_MAGIC = int.from_bytes(b"HILM", "little")
"""First word of an image."""

IMAGE_VERSION = 3
"""Layout version of the image, apart from the protocol's."""


@unique
class NodeKind(IntEnum):
    """What a node computes."""

    LSTM = 1
    DENSE = 2
    ACTIVATION = 3
    MERGE = 4
    SCALE = 5
    POOL = 6


@unique
class Phase(IntEnum):
    """When in its pass a node runs."""

    EVERY_STEP = 0
    AFTER_LAST_STEP = 1


@unique
class Operation(IntEnum):
    """What a MERGE does with its sources, and a POOL with its steps: AVERAGE or MAXIMUM."""

    CONCATENATE = 0
    ADD = 1
    SUBTRACT = 2
    MULTIPLY = 3
    AVERAGE = 4
    MAXIMUM = 5
    MINIMUM = 6


@unique
class Tap(IntEnum):
    """Which value of a node a source is."""

    OUTPUT = 0
    STATE_H = 1
    STATE_C = 2


@unique
class Read(IntEnum):
    """How a source is read: as it stands now, or row by row from the steps that were kept."""

    NOW = 0
    FORWARD = 1
    REVERSED = 2


@unique
class WeightLayout(IntEnum):
    """How a node's weights lie in the image."""

    ROWS = 0
    PACKED = 1


@unique
class Kernel(IntEnum):
    """What computes an LSTM. ARM_MATH reads ROWS, the others PACKED; PACKED_FMA rounds once where PACKED does twice."""

    ARM_MATH = 0
    PACKED = 1
    PACKED_FMA = 2


@unique
class Activation(IntEnum):
    """Activation functions, by Keras 3's names and with its default arguments.

    The two hard_sigmoids are different functions: HARD_SIGMOID is Keras 3's relu6(x + 3) / 6, HARD_SIGMOID_KERAS2 is
    clip(0.2 x + 0.5, 0, 1).
    """

    LINEAR = 0
    TANH = 1
    SIGMOID = 2
    HARD_SIGMOID = 3
    HARD_SIGMOID_KERAS2 = 4
    SOFTMAX = 5
    RELU = 6
    RELU6 = 7
    LEAKY_RELU = 8
    ELU = 9
    SELU = 10
    SOFTSIGN = 11
    SOFTPLUS = 12
    SILU = 13
    GELU = 14
    MISH = 15
    EXPONENTIAL = 16
    HARD_TANH = 17
    HARD_SILU = 18
    HARD_SHRINK = 19
    SOFT_SHRINK = 20
    TANH_SHRINK = 21
    SQUAREPLUS = 22
    SPARSE_PLUS = 23
    SPARSE_SIGMOID = 24
    LOG_SIGMOID = 25
    LOG_SOFTMAX = 26


class NodeFlags(IntFlag):
    """Options of a node."""

    NONE = 0
    BIAS = 1
    OUTPUT = 2
    ZERO_OUTPUT_FOR_MASK = 4
    IGNORE_MASK = 8
    INITIAL_STATE = 16
    KEEP_GATES = 32
