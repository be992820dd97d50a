"""`hil info`: what a device says of itself."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from harness.cli.options import ready_target, takes_target
from harness.targets.choice import TargetChoice


@takes_target
def info_command(
    target: TargetChoice,
    json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> int:
    """Greet a device and print what it is: firmware, compiler, clock, memory, link, logs, the record of a fault."""
    from dataclasses import asdict
    from json import dumps

    from harness.protocol.faults import fault_fields
    from harness.report.fpscr import fpscr_fields, fpscr_line
    from harness.report.record import device_fields, firmware_fields, log_fields
    from harness.workbench import Workbench, locate

    with Workbench(ready_target(target)) as workbench:
        device = workbench.device()
        counters = device.counters()  # its LOGs have come when it answers
        fault = device.read_fault()
        sections: dict[str, Any] = {
            "target": {"kind": target.kind, **workbench.target.description(), **device_fields(device.info)},
            "firmware": firmware_fields(device.info),
            "model": {
                "crc32": f"0x{device.info.model_crc32:08x}" if device.info.model_bytes else None,
                "image_bytes": device.info.model_bytes,
            },
            "link": asdict(counters),
            "fpscr": fpscr_fields(device.info, counters),
            "log": [log_fields(log) for log in device.take_logs()],
            "fault": None if fault is None else fault_fields(fault, locate),
        }
    if json:
        sys.stdout.write(dumps(sections, indent=2) + "\n")
        return 0
    log = {f"{each['level']} {each['number']}": each["text"] for each in sections["log"]}
    fpu = {"fpscr": fpscr_line(sections.pop("fpscr"))}
    del sections["link"]["fpscr"]  # a number, for scripts
    for section, fields in {**sections, "fpu": fpu, "log": log, "fault": sections["fault"] or {"record": None}}.items():
        sys.stdout.write(f"{section}{' (default)' if section == 'target' and target.is_default else ''}\n")
        for name, value in fields.items():
            sys.stdout.write(f"  {name:<20} {_shown(value)}\n")
    return 0


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return "; ".join(value) or "none"
    return "none" if value is None else str(value)
