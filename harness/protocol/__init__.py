"""The wire protocol, pure: bytes in, objects out. No port, no clock, no thread.

    records   how a fixed layout is described        wire      constants and enumerations
    messages  the messages                           image     the weight image's records
    framing   COBS and CRC-32                        session   sequence numbers, retries, what may come next
    cgen      the C header made from the above

May import the standard library's value types, `cobs` and `harness.errors`, nothing else.
"""
