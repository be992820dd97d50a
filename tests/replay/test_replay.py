"""A recorded link as messages, to a session, and as a line to talk to. All devices are fakes: no real time passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.device import Device
from harness.errors import DeviceFault, DeviceReset, HilError, LinkTimeout, MismatchError, ReplayDeviation
from harness.fake import FakeDevice, Faults
from harness.protocol.messages import Counters, Echo, Log, Run
from harness.protocol.refusals import DeviceRefused
from harness.replay.host import Conclusion, HostAgain
from harness.replay.messages import Direction, Heard, Listener, Mark
from harness.replay.transport import ReplayTransport, recorded_lines
from harness.transport.link_record import Entry, EntryKind
from recorded_talks import Talk, entries_of, recorded


def echoes(device: Device) -> None:
    """A greeting and twelve echoes."""
    device.connect()
    for number in range(12):
        assert device.request(Echo(data=bytes([number]))).data == bytes([number])


def heard(entries: list[Entry]) -> list[Heard]:
    listener = Listener()
    return [*(item for entry in entries for item in listener.hear(entry)), *listener.rest()]


def concluded(entries: list[Entry]) -> tuple[HostAgain, list[Conclusion]]:
    host = HostAgain()
    return host, [*(item for entry in entries for item in host.follow(entry)), *host.rest()]


def replayed(entries: list[Entry], talk: Talk) -> ReplayTransport:
    """The same talk with the record in place of the device."""
    (line,) = recorded_lines(entries)
    talk(Device(line, line.clock, session_id=line.session_id))
    return line


def test_what_a_device_tells_unasked_is_shown_in_words(tmp_path: Path) -> None:
    def talk(device: Device) -> None:
        device.connect()
        device.request(Echo())
        with pytest.raises(DeviceFault):
            device.request(Echo(data=b"fatal"))
        device.connect()
        assert device.read_fault() is not None

    fake = FakeDevice(to_log=[Log(level=2, event=4, number=1, value=7)], faults=Faults(fault_at=3))
    entries = recorded(tmp_path / "a.link", fake, talk)
    items = heard(entries)
    (log,) = [item for item in items if " LOG " in item.text]
    assert log.text.startswith("#0 LOG 1 warning: the first frames of this session were dropped: 7 with a wrong CRC")
    told = [item for item in items if "FAULT a usage fault (division by zero): " in item.text]
    assert len(told) == 2, "unasked, and read"
    assert "pc=0x08001234" in told[0].text
    assert [item.mark for item in (log, *told)] == [Mark.NEW] * 3
    host, conclusions = concluded(entries)
    assert [conclusion.code for conclusion in conclusions] == ["fault_usage_fault"]
    assert host.answered == 4


def test_messages_are_shown_with_their_fields(tmp_path: Path) -> None:
    def talk(device: Device) -> None:
        device.connect()
        device.request(Echo(data=b"abc"))
        with pytest.raises(DeviceRefused):
            device.request(Run(steps=3))

    shown = [item.text for item in heard(recorded(tmp_path / "a.link", FakeDevice(), talk))]
    assert shown[0] == "opened fake"
    assert shown[1].startswith("#1 HELLO session=0x")
    assert "version='fake'" in shown[2]
    assert shown[3:5] == ["#2 ECHO data=3 bytes", "#2 ECHO data=3 bytes"]
    assert shown[5].startswith("#3 RUN steps=3 flags=0 trace=0 ")
    assert shown[6].startswith("#3 ERROR group=RUN request_type=33 code=NO_MODEL ")
    assert shown[7:] == ["closed", "end"]


def test_bad_frames_and_repeats_are_marked(tmp_path: Path) -> None:
    fake = FakeDevice(faults=Faults(corrupt_every=4, drop_every=3))
    items = heard(recorded(tmp_path / "a.link", fake, echoes))
    bad = [item for item in items if item.mark == Mark.BAD]
    repeats = [item for item in items if item.mark == Mark.REPEAT]
    assert bad
    assert all(item.direction == Direction.TO_HOST and item.text.startswith("no frame, bad ") for item in bad)
    assert len([item for item in repeats if item.direction == Direction.TO_DEVICE]) == len(fake.heard) - 13
    assert len([item for item in items if item.direction == Direction.TO_DEVICE]) == len(fake.heard)


def test_noise_and_an_unfinished_frame_are_shown() -> None:
    items = heard(
        [
            Entry(EntryKind.OPENED, 0.0, b"board"),
            Entry(EntryKind.RECEIVED, 0.1, b"boot: hello\r\n\x00"),
            Entry(EntryKind.RECEIVED, 0.2, b"\x05abc"),
            Entry(EntryKind.CLOSED, 0.3),
        ]
    )
    assert [(item.mark, item.text.split(":")[0]) for item in items[1:3]] == [
        (Mark.BAD, "no frame, bad COBS or too short"),
        (Mark.BAD, "4 bytes that no border ends"),
    ]


def test_what_a_terminal_would_obey_is_not_printed() -> None:
    (item,) = heard([Entry(EntryKind.NOTE, 0.0, b"\x1b[2Jmodel\n")])
    assert item.text == "note \\x1b[2Jmodel\\n"


@pytest.mark.parametrize(
    "faults",
    [
        Faults(),
        Faults(drop_every=2),
        Faults(corrupt_every=3),
        Faults(mute_for=7),
        Faults(drop_every=3, corrupt_every=5, mute_for=2),
    ],
    ids=str,
)
@pytest.mark.parametrize("look_s", [0.0, 3.3e-4, 0.011])
def test_the_host_concludes_the_same_and_sends_the_same_bytes(tmp_path: Path, faults: Faults, look_s: float) -> None:
    entries = recorded(tmp_path / "a.link", FakeDevice(faults=faults), echoes, look_s=look_s)
    host, conclusions = concluded(entries)
    assert (host.sessions, host.requests, host.answered, conclusions) == (1, 13, 13, [])
    assert replayed(entries, echoes).is_at_end


@pytest.mark.parametrize(("look_s", "write_s"), [(0.0, 0.0), (1e-7, 0.013), (3.3e-4, 0.03), (0.011, 0.0)])
@pytest.mark.parametrize(
    ("faults", "error", "code"),
    [
        (Faults(silent=True), LinkTimeout, "no_answer"),
        (Faults(babble=b"login: "), LinkTimeout, "no_answer"),
        (Faults(reset_at=5), DeviceReset, "device_reset"),
        (Faults(wrong_type=0xC0 + 0x3F), MismatchError, ""),
    ],
    ids=str,
)
def test_a_failed_run_fails_in_the_same_way_again(
    tmp_path: Path, faults: Faults, error: type[HilError], code: str, look_s: float, write_s: float
) -> None:
    with pytest.raises(error) as then:
        recorded(tmp_path / "a.link", FakeDevice(faults=faults), echoes, look_s=look_s, write_s=write_s)
    entries = entries_of(tmp_path / "a.link")
    _, (conclusion,) = concluded(entries)
    assert conclusion.code == (code or then.value.code)
    with pytest.raises(error) as now:
        replayed(entries, echoes)
    assert (now.value.message, now.value.code) == (then.value.message, then.value.code)


def test_a_device_that_dies_later_times_out_again(tmp_path: Path) -> None:
    fake = FakeDevice()

    def talk(device: Device) -> None:
        device.connect()
        fake.faults = Faults(silent=True)
        device.request(Counters())

    with pytest.raises(LinkTimeout) as then:
        recorded(tmp_path / "a.link", fake, talk)
    entries = entries_of(tmp_path / "a.link")
    _, (conclusion,) = concluded(entries)
    assert conclusion.text.startswith("no answer to Counters, sent 10 times in 3")
    with pytest.raises(LinkTimeout) as now:
        replayed(entries, talk)
    assert now.value.message == then.value.message


def test_another_protocol_version_is_found_again(tmp_path: Path) -> None:
    for protocol in ((2, 0), (1, 0)):
        fake = FakeDevice(protocol=protocol)
        try:
            recorded(tmp_path / "a.link", fake, echoes)
        except MismatchError:
            pass
        _, conclusions = concluded(entries_of(tmp_path / "a.link"))
        assert [item.code for item in conclusions] == (["protocol_version"] if protocol[0] == 2 else [])


def test_a_deviation_is_said_at_its_byte(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "a.link", FakeDevice(), echoes)
    hello, first = [entry.data for entry in entries if entry.kind == EntryKind.SENT][:2]

    def other(device: Device) -> None:
        device.connect()
        device.request(Echo(data=b"\x55"))  # a zero byte was echoed then

    with pytest.raises(ReplayDeviation) as deviation:
        replayed(entries, other)
    at = int(deviation.value.message.split("at byte ")[1].split()[0])
    assert len(hello) < at < len(hello) + len(first)

    def longer(device: Device) -> None:
        echoes(device)
        device.request(Counters())

    with pytest.raises(ReplayDeviation, match="no more"):
        replayed(entries, longer)


def test_a_changed_request_is_no_request_of_this_host(tmp_path: Path) -> None:
    entries = recorded(tmp_path / "a.link", FakeDevice(), echoes)
    second = [number for number, entry in enumerate(entries) if entry.kind == EntryKind.SENT][2]
    _, conclusions = concluded([*entries[:second], *entries[second + 1 :]])  # the request after it skips a number
    assert conclusions[0].code == "host_deviates"


def test_each_line_of_a_record_is_replayed_by_itself(tmp_path: Path) -> None:
    one = recorded(tmp_path / "a.link", FakeDevice(), echoes)
    two = recorded(tmp_path / "b.link", FakeDevice(faults=Faults(drop_every=2)), echoes)
    entries = [entry for entry in (*one, *two) if entry.kind != EntryKind.END]
    assert concluded(entries)[0].sessions == 2
    found = list(recorded_lines(entries))
    assert len(found) == 2
    for line in found:
        echoes(Device(line, line.clock, session_id=line.session_id))
        assert line.is_at_end


_KINDS = st.sampled_from(list(EntryKind))


@given(st.lists(st.builds(Entry, _KINDS, st.floats(0, 1e9), st.binary(max_size=60)), max_size=12))
def test_no_record_stops_the_readers(entries: list[Entry]) -> None:
    heard(entries)
    concluded(entries)
    for line in recorded_lines(entries):
        with pytest.raises(HilError):
            echoes(Device(line, line.clock, session_id=line.session_id))


@given(st.data())
def test_no_changed_byte_on_the_line_stops_the_readers(data: st.DataObject) -> None:
    entries = list(GOOD)
    for _ in range(data.draw(st.integers(1, 4))):
        number = data.draw(st.integers(0, len(entries) - 1))
        changed = bytearray(entries[number].data)
        if changed:
            changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
        entries[number] = replace(entries[number], data=bytes(changed))
    heard(entries)
    host, _ = concluded(entries)
    assert host.answered <= host.requests <= 13


def _good() -> list[Entry]:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return recorded(Path(folder) / "a.link", FakeDevice(), echoes)


GOOD = _good()
