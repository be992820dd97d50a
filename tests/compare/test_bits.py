"""The comparison of bits: what differs, and which difference is the first."""

from __future__ import annotations

import numpy as np

from harness.compare.bits import compare_bits
from harness.model.nodes import gates_of


def tensors() -> dict[str, np.ndarray]:
    return {
        "lstm.h": np.ones((2, 3, 4), np.float32),
        "lstm.c": np.ones((2, 3, 4), np.float32),
        "output": np.ones((2, 4), np.float32),
    }


def test_the_same_bits() -> None:
    got = tensors()
    got["lstm.h"][0, 0, 0] = np.nan
    bits = compare_bits(got, {name: values.copy() for name, values in got.items()})
    assert (bits.elements, bits.different, bits.first) == (56, 0, None)
    assert bits.to_json() == {"elements": 56, "different": 0, "first": None}


def test_the_first_is_the_earliest_in_time_not_in_the_list() -> None:
    got, host = tensors(), tensors()
    host["output"][0, 1] = 2
    host["lstm.h"][0, 2, 0] = 2
    host["lstm.c"][0, 1, 3] = np.nextafter(np.float32(1), np.float32(2))
    host["lstm.h"][1, 0, 0] = 2
    bits = compare_bits(got, host)
    assert bits.different == 4
    assert str(bits.first) == "lstm.c seq 0 step 1 unit 3: 0x3F800000 on the device, 0x3F800001 on the host"
    assert bits.to_json()["first"] == {
        "tensor": "lstm.c", "call": None,
        "sequence": 0, "step": 1, "unit": 3, "got": "0x3F800000", "host": "0x3F800001",
    }  # fmt: skip


def test_zeros_of_two_signs_and_nans_of_two_payloads_differ() -> None:
    a = {"output": np.array([[0x00000000, 0x7FC00000]], np.uint32).view(np.float32)}
    b = {"output": np.array([[0x80000000, 0x7FC00001]], np.uint32).view(np.float32)}
    bits = compare_bits(a, b)
    assert bits.different == 2
    assert bits.first is not None
    assert bits.first.step is None


def test_with_calls_the_place_names_the_call() -> None:
    got = {"lstm.h": np.zeros((2, 1, 3, 2), np.float32)}
    host = {"lstm.h": got["lstm.h"].copy()}
    host["lstm.h"][1, 0, 2, 1] = 1
    bits = compare_bits(got, host, has_calls=True)
    assert str(bits.first).startswith("lstm.h call 1 seq 0 step 2 unit 1: ")


def test_of_a_tensor_with_gates_the_place_names_the_gate() -> None:
    got = {"lstm.z": np.zeros((1, 3, 12), np.float32)}
    host = {"lstm.z": got["lstm.z"].copy()}
    host["lstm.z"][0, 2, 10] = 1
    first = compare_bits(got, host, gates_of=gates_of).first
    assert first is not None
    assert str(first).startswith("lstm.z seq 0 step 2 gate o unit 1: ")
    assert (first.to_json()["gate"], first.to_json()["unit"]) == ("o", 1)
