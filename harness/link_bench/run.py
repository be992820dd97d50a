"""Measures the goodput of a link: a load, and the streaming of h and c, at each rate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from harness.device import Device
from harness.errors import DeviceError, UsageError
from harness.inference import SequenceRunner
from harness.link_bench.device_work import STREAMED_SHAPE
from harness.link_bench.record import TO_DEVICE, TO_HOST, Goodput, goodput_of
from harness.link_bench.tap import Tap
from harness.loading import load_packed
from harness.model.inputs import random_inputs
from harness.model.pack import pack_model
from harness.model.samples import random_lstm
from harness.protocol.wire import MessageType
from harness.transport.base import Transport

BAUDS = (115200, 921600, 1_000_000, 1_500_000)

LOADED_SHAPE = (8, 75)
"""(input_size, units) of a model whose image is 101 KB: nearly all that the chip's arena holds."""

_SESSION = 0x12345678
"""Always the same one, since it is part of each CRC-32, and a zero byte there may make a frame a byte longer."""

BAUD_ERRORS = ("baud_impossible", "baud_not_kept", "line_without_baud", "port_without_this_baud")
"""Codes of errors that are about one baud: another one may do."""

STREAMED_STEPS = 800
"""205 KB of h and c."""


def measure(line: Transport, baud: int, now_s: Callable[[], float]) -> list[Goodput]:
    """Goodput in both directions.

    Args:
        line: to a device; closed in the end.
        baud: the rate; one that the line has not yet is negotiated.
        now_s: the clock that the line goes by.

    Raises:
        UsageError: the line and the device cannot have this rate together.
        LinkError, DeviceError, MismatchError: see `Device.request`.
    """
    tap = Tap(line, now_s)
    with Device(tap, now_s, session_id=lambda: _SESSION) as device:
        device.connect()
        if device.baud != baud and device.set_baud(baud) != baud:
            raise UsageError(
                f"nothing came back at {baud} baud", code="baud_not_kept", remedy="the cable or the probe is too slow"
            )
        return [_load(device, tap, baud), _stream(device, tap, baud)]


def _load(device: Device, tap: Tap, baud: int) -> Goodput:
    spec = random_lstm(*LOADED_SHAPE)
    image = pack_model(spec)
    tap.passages.clear()
    loaded = load_packed(device, spec, image)
    if loaded.crc32_device != image.crc32:
        raise DeviceError("the device computed another CRC-32 over the image", code="image_damaged")
    return goodput_of(tap.passages, TO_DEVICE, MessageType.WRITE, baud, len(image.data))


def _stream(device: Device, tap: Tap, baud: int) -> Goodput:
    spec = random_lstm(*STREAMED_SHAPE)
    (lstm,) = spec.lstm_nodes()
    spec = replace(spec, nodes=(replace(lstm[1], return_sequences=False),))  # else h is sent twice, as output too
    image = pack_model(spec)
    load_packed(device, spec, image)
    x = random_inputs(spec, batch=1, steps=STREAMED_STEPS).x[0]
    tap.passages.clear()
    arrays = SequenceRunner(device, spec, image.plan).run(x).arrays
    streamed = [arrays[f"lstm.{key}"] for key in ("h", "c")]
    if not all(np.isfinite(array).all() for array in streamed):
        raise DeviceError("the device sent values that are no numbers", code="values_damaged")
    payload_bytes = sum(array.nbytes for array in streamed)
    return goodput_of(tap.passages, TO_HOST, MessageType.RUN, baud, payload_bytes)
