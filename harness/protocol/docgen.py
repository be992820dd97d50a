"""Makes the tables and worked frames of docs/PROTOCOL.md from the schema: `python -m harness.protocol.docgen`."""

from __future__ import annotations

import sys
from pathlib import Path

from harness.protocol import image, messages, wire
from harness.protocol.cgen import ENUMS, first_line, members
from harness.protocol.framing import encode_frame
from harness.protocol.messages import Header, Message, Reply
from harness.protocol.records import Record

DOCUMENT_PATH = Path(__file__).parents[2] / "docs" / "PROTOCOL.md"

EXAMPLE_SESSION = 0x1234ABCD

EXAMPLES: tuple[tuple[str, int, Message], ...] = (
    ("The host greets the device.", 1, messages.Hello(protocol_major=1, protocol_minor=0)),
    (
        "The host announces an image of 4844 bytes that needs 480 bytes of work memory.",
        2,
        messages.ImageBegin(image_bytes=4844, work_bytes=480),
    ),
    (
        "The device: 5328 bytes are needed, 118784 of 118784 are free.",
        2,
        messages.ImageBeginReply(needed_bytes=5328, free_bytes=118784, arena_bytes=118784),
    ),
    (
        "The host runs one step on x = [1.0, -2.0] from a fresh state, with h and c in the reply.",
        3,
        messages.Run(
            steps=1,
            flags=wire.RunFlags.RESET_STATE,
            trace=wire.Trace.H | wire.Trace.C,
            data=bytes.fromhex("0000803f 000000c0"),
        ),
    ),
    (
        "The device refuses it: no model is loaded.",
        3,
        messages.ErrorReply(group=wire.ErrorGroup.RUN, request_type=wire.MessageType.RUN, code=wire.ErrorCode.NO_MODEL),
    ),
)
"""(what it is, sequence number, message) of every worked frame."""


def example_header(sequence: int, message: Message) -> Header:
    """The header of a worked frame."""
    reply_bit = wire.REPLY_BIT if isinstance(message, Reply) else 0
    return Header(type=message.TYPE | reply_bit, sequence=sequence, session=EXAMPLE_SESSION)


def document(text: str) -> str:
    """`text` of PROTOCOL.md with its generated parts made anew."""
    for name, lines in (("frames", _frames()), ("messages", _messages()), ("numbers", _numbers())):
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        before, _, rest = text.partition(start)
        text = "\n".join([before + start, *lines, end]) + rest.partition(end)[2]
    return text


def _frames() -> list[str]:
    lines = []
    for title, sequence, message in EXAMPLES:
        frame = encode_frame(example_header(sequence, message), message.pack()).hex(" ")
        wrapped = [frame[start : start + 96].strip() for start in range(0, len(frame), 96)]
        lines += [f"{title} `{type(message).__name__}`, sequence {sequence}:", "", "```hex", *wrapped, "```", ""]
    return lines


def _messages() -> list[str]:
    lines = ["### Every frame", *_table(messages.Header)]
    for request in messages.REQUESTS:
        lines += [f"### {request.TYPE.name} (0x{request.TYPE:02X})", first_line(request), *_table(request)]
        lines += [f"Reply: {first_line(request.REPLY)}", *_table(request.REPLY)]
    for event in messages.EVENTS:
        lines += [f"### {event.TYPE.name} (0x{event.TYPE | wire.REPLY_BIT:02X}, device only)"]
        lines += [first_line(event), *_table(event)]
    for record in (image.ImageHeader, image.NodeRecord, image.SourceRecord):
        lines += [f"### {record.__name__}", first_line(record), *_table(record)]
    return lines


def _table(record: type[Record]) -> list[str]:
    if not record.layout():
        return ["", "No payload.", ""]
    lines = ["", "| offset | size | field | meaning |", "|---:|---:|---|---|"]
    offset = 0
    for name, width in record.layout():
        size = "rest" if width.kind == "tail" else str(width.size_bytes)
        lines.append(f"| {offset} | {size} | {name} | {width.doc} |")
        offset += width.size_bytes
    return [*lines, ""]


def _numbers() -> list[str]:
    lines = [f"- MAX_PAYLOAD_BYTES {wire.MAX_PAYLOAD_BYTES}, WINDOW {wire.WINDOW}, MAX_NODES {wire.MAX_NODES}"]
    lines[0] += f", MAX_SOURCES {wire.MAX_SOURCES}, NO_NODE 0x{wire.NO_NODE:X}"
    lines += [f"- IMAGE_MAGIC 0x{wire.IMAGE_MAGIC:08X} (the bytes `HILM`), IMAGE_VERSION {wire.IMAGE_VERSION}"]
    lines += [f"- FAULT_MAGIC 0x{wire.FAULT_MAGIC:08X} (the bytes `HILF`)", ""]
    lines += ["| of | values |", "|---|---|"]
    for _, enum in ENUMS:
        values = ", ".join(f"{member.name} {member.value}" for member in members(enum))
        lines.append(f"| {enum.__name__} | {values} |")
    return lines


def main() -> None:
    """Write the document's generated parts."""
    DOCUMENT_PATH.write_text(document(DOCUMENT_PATH.read_text()))
    sys.stdout.write(f"{DOCUMENT_PATH}\n")


if __name__ == "__main__":
    main()
