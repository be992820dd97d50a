"""The record of one run: every report is made from it. docs/REPORT.md names its fields."""

from __future__ import annotations

import getpass
import json
import os
import platform
import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

import numpy as np

from harness import __version__
from harness.compare.metrics import absolute_errors
from harness.compare.verdict import json_number
from harness.errors import DeviceFault, HilError
from harness.loading import CameBy
from harness.model.array_types import Float32Array
from harness.model.memory import aligned
from harness.model.nodes import LstmNode, Node, sources_of
from harness.oracle.load import gate_parameters
from harness.oracle.runtime import HARD_SIGMOID_TEXTS
from harness.protocol.logs import level_name, log_text, reset_text
from harness.protocol.messages import HelloReply, Log
from harness.protocol.wire import Capability, ResetCause, RunsOn
from harness.report.fpscr import fpscr_fields
from harness.report.timing import timing_fields
from harness.targets.choice import TargetChoice
from harness.targets.identity import DEVICE_ID_MASK, REVISION_SHIFT, chip_name
from harness.targets.snapshot import Described
from harness.validation import Validation

SCHEMA = "lstm-hil/validation/1"
"""Name and version of the record; the version goes up when a field changes its meaning."""

FLOAT_BYTES = 4


def record_of(
    run: Validation,
    choice: TargetChoice,
    target: Described | None,
    link_record: Path | None = None,
    *,
    command: Sequence[str] = (),
    program: Mapping[str, Any] | None = None,
    commit: Mapping[str, str | bool] | None = None,
    resume: Mapping[str, str | None] | None = None,
) -> dict[str, Any]:
    """The record of a run, whatever its end; parts that the run did not come to are null or empty.

    Args:
        run: the run.
        choice: the target that was asked for.
        target: the target; None if there is none, or the run did not come so far.
        link_record: where the link was recorded.
        command: the command line.
        program: facts of the running program, where it was built here: see `harness.build.program`.
        commit: of the folder that the run was started in: see `harness.build.commit`.
        resume: by what a later run finds that nothing has changed.
    """
    return {
        "schema": SCHEMA,
        "verdict": run.verdict,
        "summary": run.summary,
        "exit_code": int(run.exit_code),
        "error": _error(run.error),
        "hil_version": __version__,
        "run": _run(run, command, commit),
        "target": _target(run, choice, target),
        "firmware": _firmware(run, program),
        "kernel": None if run.on_device is None else run.on_device.image.kernel.name.lower(),
        "trace": run.level.name.lower(),
        "tolerance": {
            name: {
                "atol": json_number(t.atol),
                "rtol": json_number(t.rtol),
                "reason": t.reason,
                "guard": json_number(t.guard),
            }
            for name, t in run.tolerances.items()
        },
        "tensors": [result.to_json() for result in run.results],
        "classification": [classes.to_json() for classes in run.classes],
        "vectors": None if run.score is None else run.score.to_json(),
        "tolerance_hides": [each.text for each in run.hidden],
        "tolerance_advice": {name: advice.to_json() for name, advice in run.advice.items()},
        "diagnosis": _diagnosis(run),
        "diagnosis_note": None if run.explanation is None else run.explanation.note,
        "expected_file": _expected_file(run),
        "bisect": None if run.bisection is None else run.bisection.to_json(),
        "bisect_note": _bisect_note(run),
        "bit_exact": None if run.bits is None else run.bits.to_json(),
        "baseline": None if run.baseline is None else run.baseline.to_json(),
        "model": _model(run),
        "weights": _weights(run),
        "inputs": _inputs(run),
        "oracle": _oracle(run),
        "timing": timing_fields(run, {} if target is None else target.description()),
        "memory": _memory(run, program),
        "link": _link(run),
        "link_record": None if link_record is None else link_record.name,
        "resume": None if resume is None else dict(resume),
    }


def write_record(record: dict[str, Any], path: Path) -> None:
    """Write a record as JSON, whole or not at all."""
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    with replacing(path) as file:
        file.write(text.encode())


def write_arrays(arrays: Mapping[str, Float32Array], path: Path) -> None:
    """Write OUT.npz, whole or not at all."""
    with replacing(path) as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A new file that takes the place of `path` when it is complete. What is no file, as /dev/stdout, is written to."""
    if path.exists() and not path.is_file():
        with path.open("wb") as file:
            yield file
        return
    with NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            yield file
            file.flush()
            os.chmod(file.name, 0o666 & ~_umask())
            os.replace(file.name, path)
        except BaseException:
            os.unlink(file.name)
            raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _goodput(run: Validation) -> float | None:
    """Bytes both ways over the time in which weights and sequences went over the link."""
    seconds = sum(run.times_s.get(stage, 0.0) for stage in ("load_weights", "device"))
    return None if run.link is None or not seconds else (run.link.bytes_sent + run.link.bytes_received) / seconds


def firmware_fields(hello: HelloReply) -> dict[str, Any]:
    """What the firmware says of itself."""
    return {
        "build_id": hello.build_id.hex(),
        "version": hello.version,
        "compiler": hello.compiler,
        "flags": hello.compiler_flags,
        "board": hello.board or None,
        "protocol": f"{hello.protocol_major}.{hello.protocol_minor}",
        "sanitizers": bool(hello.capabilities & Capability.SANITIZERS),
        "capabilities": [each.name.lower() for each in Capability if hello.capabilities & each and each.name],
    }


def device_fields(hello: HelloReply) -> dict[str, Any]:
    """What the firmware found around it."""
    return {
        "runs_on": hello.runs_on.name.lower(),
        "clock_source": hello.clock_source.name.lower(),
        "sysclk_hz": hello.sysclk_hz,
        "uart_clock_hz": hello.uart_clock_hz,
        "baud": hello.baud,
        "cpuid": f"0x{hello.cpuid:08X}",
        "idcode": f"0x{hello.idcode:08X}",
        "chip": chip_name(hello.idcode & DEVICE_ID_MASK),
        "chip_revision": f"0x{hello.idcode >> REVISION_SHIFT:04X}" if hello.idcode else None,
        "unique_id": hello.unique_id.hex(),
        "arena_bytes": hello.arena_bytes,
        "store_bytes": hello.store_bytes,
        "max_payload_bytes": hello.max_payload_bytes,
        "reset_cause": reset_text(ResetCause(hello.reset_cause)),
    }


def _error(error: HilError | None) -> dict[str, Any] | None:
    if error is None:
        return None
    first = None if error.first is None else {"code": error.first.code, "message": error.first.message}
    return {"code": error.code, "fault": error.fault, "message": error.message, "remedy": error.remedy, "first": first}


def _firmware(run: Validation, program: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """What it says of itself, and what only who built it knows."""
    if run.hello is None:
        return None
    build = {name: None if program is None else program[name] for name in ("elf_sha256", "cmsis_dsp")}
    return {**firmware_fields(run.hello), **build, "fpscr": fpscr_fields(run.hello, run.counters)}


def _run(run: Validation, command: Sequence[str], commit: Mapping[str, str | bool] | None) -> dict[str, Any]:
    return {
        "id": run.id,
        "started": run.started.isoformat(timespec="seconds"),
        "ended": None if run.ended is None else run.ended.isoformat(timespec="seconds"),
        "duration_s": round(sum(run.times_s.values()), 4),
        "command": shlex.join(command),
        "operator": _operator(),
        "git": None if commit is None else dict(commit),
        "host": platform.node(),
        "platform": platform.platform(),
        "python": platform.python_version(),
    }


def _operator() -> str | None:
    """The login name of whoever runs it; None where the machine has none for this user, as in some containers."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # by the version of Python
        return None


def _target(run: Validation, choice: TargetChoice, target: Described | None) -> dict[str, Any]:
    fields: dict[str, Any] = {"kind": choice.kind, "name": choice.name}
    if target is not None:
        fields.update(target.description())
    if run.hello is not None:
        fields.update(device_fields(run.hello))
    return fields


def _model(run: Validation) -> dict[str, Any] | None:
    if run.loaded is None:
        return {"file": run.model_path.name or str(run.model_path)}
    spec = run.loaded.spec
    return {
        "file": run.model_path.name,
        "name": spec.name,
        "sha256": run.loaded.sha256,
        "notes": list(run.loaded.notes),
        "weights_file": None if run.loaded.weights_path is None else run.loaded.weights_path.name,
        "weights_sha256": run.loaded.weights_sha256,
        "layer": run.layer,
        "parameters_total": spec.parameters,
        "layers": [_layer(node) for node in spec.nodes],
    }


def _layer(node: Node) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "name": node.name,
        "kind": type(node).__name__.removesuffix("Node").lower(),
        "units": node.units,
        "input_size": node.input_size,
        "activation": node.activation.name.lower(),
    }
    if isinstance(node, LstmNode):
        fields["recurrent_activation"] = node.recurrent_activation.name.lower()
        fields["use_bias"] = node.bias is not None
        fields["return_sequences"] = node.return_sequences
        fields["stateful"] = node.stateful
        fields["zero_output_for_mask"] = node.zero_output_for_mask
        fields["reads_backwards"] = any(source.reverse for source in sources_of(node))
        fields["parameters"] = gate_parameters(node)
    else:
        fields["parameters"] = {"total": node.parameters}
    return fields


def _weights(run: Validation) -> dict[str, Any] | None:
    if run.on_device is None or run.loaded is None:
        return None
    image = run.on_device.image
    return {
        "crc32_host": f"0x{image.crc32:08x}",
        "crc32_device": f"0x{run.on_device.crc32_device:08x}",
        "came_by": run.on_device.came_by.value,
        "image_bytes": len(image.data),
        "weight_bytes": run.loaded.spec.parameters * FLOAT_BYTES,
        "work_bytes": image.work_bytes,
    }


def _inputs(run: Validation) -> dict[str, Any] | None:
    inputs = run.inputs
    if inputs is None or run.loaded is None:
        return None
    given = run.given
    return {
        "sha256": inputs.sha256 if given is None else given.sha256,
        "of_model": None if given is None else {name: list(array.shape) for name, array in given.arrays.items()},
        "seed": inputs.seed,
        "shape": list(inputs.x.shape),
        "range": _range([inputs.x, *inputs.beside.values()]),
        "calls": None if inputs.reset_before is None else inputs.calls,
        "reset_before": None if inputs.reset_before is None else inputs.reset_before.tolist(),
        "masked_steps": inputs.masked_steps(run.loaded.spec),
        "initial_states": sorted(inputs.initial),
        "notes": list(inputs.notes),
    }


def _range(arrays: Sequence[Float32Array]) -> list[float] | None:
    """The least and the largest number; None where there is none but NaN and infinities."""
    finite = [array[np.isfinite(array)] for array in arrays]
    known = [array for array in finite if array.size]
    return [float(min(map(np.min, known))), float(max(map(np.max, known)))] if known else None


def _diagnosis(run: Validation) -> list[dict[str, Any]]:
    explanations = {"device": run.explanation, "expected": run.given_explanation}
    return [entry for of, each in explanations.items() if each is not None for entry in each.to_json(of)]


def _bisect_note(run: Validation) -> str | None:
    """Why single steps were not run on their own."""
    if run.bisect_error is not None:
        return run.bisect_error.message
    if run.bisection is not None and run.bisection.cause == "none" and not run.bisection.steps:
        return "h and c of every step were not fetched (--trace hc)"
    return None


def _expected_file(run: Validation) -> dict[str, Any] | None:
    """Values that somebody gave, and how far Keras is from them."""
    file = run.expected_file
    if file is None or run.expected is None:
        return None
    keras = run.expected.tensors
    distances = {name: float(absolute_errors(array, keras[name]).max()) for name, array in file.values.items()}
    return {
        "file": file.path.name,
        "sha256": file.sha256,
        "max_abs_to_keras": {name: json_number(distance) for name, distance in distances.items()},
        "first_beyond": None if run.first_of_given is None else run.first_of_given.to_json(),
        "note": None if run.given_explanation is None else run.given_explanation.note,
        "notes": list(file.notes),
    }


def _oracle(run: Validation) -> dict[str, Any] | None:
    if run.expected is None:
        return None
    distances = run.max_abs_to_float64
    return {
        "name": run.expected.oracle,
        "versions": run.expected.versions,
        "hard_sigmoid": HARD_SIGMOID_TEXTS[run.expected.oracle],
        "from_cache": run.oracle_from_cache,
        "max_abs_to_float64": json_number(max(distances.values())) if distances else None,
        "max_abs_to_float64_by_tensor": {name: json_number(value) for name, value in distances.items()},
    }


def _memory(run: Validation, program: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if run.hello is None:
        return None
    image = None if run.on_device is None else run.on_device.image
    in_arena = image is not None and run.on_device is not None and run.on_device.came_by is CameBy.LINK
    used_bytes = None if image is None else aligned(image.work_bytes) + in_arena * aligned(len(image.data))
    stack_bytes = None if run.counters is None else run.counters.stack_bytes or None
    sizes = {name: None if program is None else program[name] for name in _PROGRAM_SIZES}
    return {
        "arena_bytes": run.hello.arena_bytes,
        "arena_used_bytes": used_bytes,
        "arena_free_bytes": None if used_bytes is None else run.hello.arena_bytes - used_bytes,
        "stack_bytes": stack_bytes,
        "program": None if None in sizes.values() else sizes,
        "note": _memory_note(run, stack_bytes, sizes),
    }


_PROGRAM_SIZES = ("flash_bytes", "ram_bytes", "reserved_stack_bytes")


def _memory_note(run: Validation, stack_bytes: int | None, sizes: Mapping[str, int | None]) -> str | None:
    """Why something is null; None where nothing is."""
    if run.hello is None or run.counters is None:
        return "the run did not come so far"
    if run.hello.runs_on == RunsOn.NATIVE:
        return "a process of this machine has neither the chip's flash and RAM nor its stack"
    if None in sizes.values():
        return "the program that runs there was not built here as it is now: its sizes are not known"
    return None if stack_bytes is not None else "the device does not know its stack"


def log_fields(log: Log) -> dict[str, Any]:
    """A LOG, in words and as it came."""
    values = [log.value, log.value2, log.value3]
    return {"number": log.number, "level": level_name(log), "event": log.event, "values": values, "text": log_text(log)}


_NOT_OF_LINK = ("stack_bytes", "fpscr")
"""What the device tells with its counters and is none of the link's."""


def _link(run: Validation) -> dict[str, Any] | None:
    if run.link is None:
        return None
    host = {each.name: getattr(run.link, each.name) for each in fields(run.link) if each.name != "last_bad"}
    names = (
        () if run.counters is None else [each.name for each in fields(run.counters) if each.name not in _NOT_OF_LINK]
    )
    return {
        "host": host,
        "bytes_per_second": _goodput(run),
        "device": {name: getattr(run.counters, name) for name in names} or None,
        "log": [log_fields(log) for log in run.logs],
        "fault": run.error.record if isinstance(run.error, DeviceFault) else None,
        "earlier_fault": run.earlier_fault,
    }
