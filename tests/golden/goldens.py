"""A golden made without Keras, and golden files taken apart and put together again."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import seeds
from harness.compare.tolerance import distance_to_float64, tolerances
from harness.golden.file import Golden, Origin, golden_bytes
from harness.model.inputs import Inputs, random_inputs
from harness.model.spec import ModelSpec
from harness.model.trace import TraceLevel
from harness.oracle.keras_oracle import Expected
from harness.oracle.reference import reference
from harness.protocol.wire import Kernel

PATH = Path("some.golden")
OLD = Path(__file__).with_name("v1.golden")


def golden_of(spec: ModelSpec, inputs: Inputs | None = None) -> Golden:
    """What float32 in NumPy gives takes the place of what Keras gives."""
    inputs = random_inputs(spec, 2, 3) if inputs is None else inputs
    tensors = {name: array.astype(np.float32) for name, array in reference(spec, inputs, np.float32).items()}
    distances = distance_to_float64(tensors, reference(spec, inputs))
    return Golden(
        spec=spec,
        inputs=inputs,
        expected=Expected(tensors, "keras", {"keras": "3.15.1"}),
        max_abs_to_float64=distances,
        tolerances=tolerances(distances),
        kernel=Kernel.ARM_MATH,
        level=TraceLevel.HC,
        origin=Origin("some.keras", "ab" * 32),
    )


def small_file() -> bytes:
    return golden_bytes(golden_of(seeds.random_lstm(2, 3)))


def members_of(content: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def head_of(content: bytes) -> dict[str, Any]:
    head: dict[str, Any] = json.loads(members_of(content)["golden.json"])
    return head


def zipped(members: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, compression)
    return file.getvalue()


def with_head(content: bytes, head: Any, **members: bytes) -> bytes:
    """The same file with another head, and with members of other bytes: every hash is right."""
    parts = {**members_of(content), **members}
    if isinstance(head, dict) and isinstance(head.get("arrays"), dict):
        for name, array in members.items():
            facts = head["arrays"].get(name.removesuffix(".npy"))
            if isinstance(facts, dict):
                facts["sha256"] = hashlib.sha256(array).hexdigest()
    text = json.dumps(head).encode()
    parts["golden.json"], parts["golden.json.sha256"] = text, hashlib.sha256(text).hexdigest().encode()
    return zipped(parts)


def npy_of(array: Any, *, allow_pickle: bool = False) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=allow_pickle)
    return file.getvalue()
