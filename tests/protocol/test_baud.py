"""The divisor's arithmetic, against what the reference manual says of this chip."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.protocol.baud import ECHO_PATTERN, baud_error, is_possible, real_baud
from harness.protocol.wire import MAX_BAUD, MAX_PAYLOAD_BYTES

PCLK1_HZ = 45_000_000
HSI_HZ = 16_000_000


@pytest.mark.parametrize(
    ("clock_hz", "baud", "percent"),
    [
        # RM0390 table 143 has 115.2 kbaud at 16 MHz: 115.107, 0.08 %.
        (HSI_HZ, 115_200, -0.08),
        (PCLK1_HZ, 115_200, -0.10),
        (PCLK1_HZ, 921_600, -0.35),
        (PCLK1_HZ, 1_000_000, 0.0),
        (PCLK1_HZ, 1_500_000, 0.0),
        (PCLK1_HZ, 2_000_000, -2.17),
    ],
)
def test_what_a_clock_gives(clock_hz: int, baud: int, percent: float) -> None:
    error = baud_error(clock_hz, baud)
    assert error is not None
    assert round(100 * error, 2) == percent


@pytest.mark.parametrize("baud", [115_200, 230_400, 460_800, 921_600, 1_000_000, 1_500_000])
def test_rates_of_the_chip(baud: int) -> None:
    assert is_possible(PCLK1_HZ, baud)


@pytest.mark.parametrize(
    ("clock_hz", "baud"),
    [
        (PCLK1_HZ, 2_000_000),  # 2.2 % off
        (PCLK1_HZ, 2_250_000),  # exact, and more than the receive interrupt was shown to bear
        (HSI_HZ, 921_600),  # 2.1 % off
        (HSI_HZ, 1_500_000),  # fewer than 16 cycles a bit
        (PCLK1_HZ, 600),  # more than 65535 cycles a bit
        (0, 115_200),
        (PCLK1_HZ, 0),
    ],
)
def test_what_cannot_be(clock_hz: int, baud: int) -> None:
    assert not is_possible(clock_hz, baud)


@given(st.integers(0, 2**32 - 1), st.integers(-1, 2**32 - 1))
def test_whatever_is_possible_is_near(clock_hz: int, baud: int) -> None:
    if is_possible(clock_hz, baud):
        assert 0 < baud <= MAX_BAUD
        assert abs(baud_error(clock_hz, baud) or 0) < 0.016
    elif real_baud(clock_hz, baud) is None:
        assert baud <= 0 or clock_hz < 15.5 * baud + 1 or clock_hz > 65535 * baud


def test_the_echo_fits_a_frame() -> None:
    assert len(ECHO_PATTERN) <= MAX_PAYLOAD_BYTES
