"""The wire protocol, pure: bytes in, objects out. No port, no clock, no thread.

    records   how a fixed layout is described        wire      constants and enumerations
    messages  the messages                           image     the weight image's records
    framing   COBS and CRC-32                        session   sequence numbers, retries, what may come next
    baud      which baud a USART can have            frame_size  how large a frame should be
    faults    a fault record in words                logs      LOGs in words
    refusals  error codes in words
    cgen      the C header made from the above       docgen    the tables of docs/PROTOCOL.md

May import the standard library's value types, `cobs` and `harness.errors`, nothing else.
"""
