"""What a person may say of faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import UsageError
from harness.transport.fault_rates import PRESETS, FaultRates, parse_faults


def test_rates_by_name() -> None:
    assert parse_faults("bits=1e-4, reset=0.5") == FaultRates(bits=1e-4, reset=0.5)


def test_a_preset_may_be_changed() -> None:
    assert parse_faults("none") == FaultRates()
    changed = parse_faults("noisy,reset=0")
    assert changed.reset == 0
    assert changed.bits == PRESETS["noisy"].bits


@pytest.mark.parametrize(
    "text",
    [
        "",
        "loud",
        "bits",
        "bits=",
        "bits=x",
        "bits=-1",
        "bits=1.1",
        "bits=nan",
        "bots=1",
        "bits=1,noisy",
        "bits=1,,",
        ",",
    ],
)
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="--faults"):
        parse_faults(text)


@given(st.builds(FaultRates, *[st.integers(0, 1000).map(lambda n: n / 1000)] * 8))
def test_what_is_printed_can_be_read(rates: FaultRates) -> None:
    assert parse_faults(str(rates)) == rates
