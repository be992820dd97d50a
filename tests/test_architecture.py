"""Who may import whom. docs/DESIGN.md draws it; this table is the law, and every import in harness/ is held to it."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.build.paths import project_root

HARNESS = project_root() / "harness"

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "processes": {"endings"},
    "endings": set(),
    "programs": {"errors"},
    "reading": set(),
    "findings": {"errors"},
    "protocol": {"errors", "findings"},
    "model": {"errors", "protocol"},
    "transport": {"errors", "findings", "reading"},
    "line_rate": {"errors", "protocol", "transport"},
    "device": {"errors", "line_rate", "protocol", "transport"},
    "fake": {"errors", "protocol", "transport"},
    "replay": {"errors", "protocol", "reading", "transport"},
    "loading": {"device", "errors", "model", "protocol"},
    "inference": {"device", "errors", "loading", "model", "protocol"},
    "ticks": {"protocol"},
    "step_ticks": {"device", "inference", "model", "ticks"},
    "compare": {"errors"},
    "oracle": {"compare", "endings", "errors", "model", "processes", "protocol", "reading"},
    "diagnosis": {"compare", "errors", "model", "oracle", "protocol"},
    "teacher_forced": {"compare", "device", "diagnosis", "inference", "loading", "model"},
    "baseline": {"errors", "reading"},
    "changes": {"compare", "errors", "model", "reading"},
    "golden": {"compare", "errors", "model", "oracle", "protocol", "reading"},
    "validation": {
        "baseline",
        "compare",
        "device",
        "diagnosis",
        "errors",
        "findings",
        "inference",
        "loading",
        "model",
        "oracle",
        "protocol",
        "step_ticks",
        "teacher_forced",
    },
    "export": {"model"},
    "link_bench": {
        "build",
        "cycles",
        "device",
        "errors",
        "inference",
        "loading",
        "model",
        "protocol",
        "targets",
        "transport",
    },
    "soak": {"compare", "device", "errors", "inference", "loading", "model", "protocol", "targets", "transport"},
    "spread": {"endings", "errors"},
    "doctor": {"device", "errors", "findings", "processes", "protocol", "transport"},
    "lab": {"errors", "processes", "programs", "targets", "transport"},
    "targets": {"errors", "findings", "processes", "transport"},
    "build": {"errors", "findings", "processes"},
    "bootstrap": {"endings", "errors"},
    "renode": {"errors", "processes", "programs"},
    "report": {
        "baseline",
        "compare",
        "diagnosis",
        "errors",
        "findings",
        "loading",
        "model",
        "oracle",
        "protocol",
        "reading",
        "spread",
        "targets",
        "ticks",
        "validation",
    },
    "tasks": {"bootstrap", "endings", "errors", "processes", "renode"},
    "cycles": {"build", "errors"},
    # The composers: they wire the parts together, and nobody imports them.
    "workbench": {
        "build",
        "device",
        "doctor",
        "errors",
        "line_rate",
        "loading",
        "lab",
        "model",
        "protocol",
        "renode",
        "targets",
        "transport",
    },
    "bench": {
        "build",
        "cycles",
        "device",
        "inference",
        "loading",
        "model",
        "oracle",
        "protocol",
        "targets",
        "ticks",
        "workbench",
    },
    "accuracy": {
        "build",
        "compare",
        "device",
        "diagnosis",
        "errors",
        "loading",
        "model",
        "oracle",
        "protocol",
        "targets",
        "validation",
        "workbench",
    },
    "cli": {
        "baseline",
        "bench",
        "device",
        "diagnosis",
        "bootstrap",
        "build",
        "changes",
        "doctor",
        "endings",
        "errors",
        "export",
        "findings",
        "golden",
        "lab",
        "link_bench",
        "model",
        "oracle",
        "protocol",
        "reading",
        "renode",
        "replay",
        "report",
        "soak",
        "spread",
        "targets",
        "tasks",
        "ticks",
        "transport",
        "validation",
        "workbench",
    },
    "pytest_plugin": {
        "baseline",
        "build",
        "device",
        "errors",
        "golden",
        "model",
        "oracle",
        "protocol",
        "report",
        "targets",
        "ticks",
        "validation",
        "workbench",
    },
    "__main__": {"cli"},
}
"""Parts of harness/ that each part may import, besides itself and the version in harness/__init__.py."""

COMPOSERS = {"workbench", "bench", "accuracy", "cli", "pytest_plugin", "__main__"}

PURE = {"abc", "collections", "dataclasses", "enum", "pathlib", "re", "struct", "sys", "typing", "zlib", "cobs"}
"""What harness/protocol may import from outside: value types, and COBS. pathlib, re and sys are for the generators."""


def modules() -> list[Path]:
    return sorted(path for path in HARNESS.rglob("*.py") if path.parent != HARNESS or path.name != "__init__.py")


def folders() -> list[Path]:
    return sorted(path.parent for path in HARNESS.rglob("__init__.py") if path.parent != HARNESS)


def part_of(path: Path) -> str:
    return path.relative_to(HARNESS).parts[0].removesuffix(".py")


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            module = node.module or ""
            names |= {f"{module}.{alias.name}" for alias in node.names} if module == "harness" else {module}
    return names


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(HARNESS)))
def test_imports_follow_the_layers(path: Path) -> None:
    part = part_of(path)
    assert part in ALLOWED, f"{part} is new: give it a line in ALLOWED and a place in docs/DESIGN.md"
    parts = {name.split(".")[1] for name in imported(path) if name.startswith("harness.")}
    forbidden = parts - ALLOWED[part] - {part, "__version__"}
    assert not forbidden, f"{part} must not import {', '.join(sorted(forbidden))}"


def test_the_table_has_no_cycle() -> None:
    rest = {part: set(needs) for part, needs in ALLOWED.items()}
    while rest:
        free = [part for part, needs in rest.items() if not needs & rest.keys()]
        assert free, f"a cycle among {', '.join(sorted(rest))}"
        for part in free:
            del rest[part]


def test_only_composers_import_composers() -> None:
    for part, needs in ALLOWED.items():
        assert part in COMPOSERS or not needs & COMPOSERS, part


def test_the_design_names_every_part() -> None:
    text = (project_root() / "docs" / "DESIGN.md").read_text()
    assert not [part for part in ALLOWED if f"`harness/{part}" not in text and part not in ("errors", "__main__")]


@pytest.mark.parametrize("folder", folders(), ids=lambda folder: folder.name)
def test_a_folder_says_what_its_files_are(folder: Path) -> None:
    text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    unnamed = {path.stem for path in folder.glob("*.py")} - {"__init__", *re.findall(r"\w+", text)}
    assert not unnamed, f"{folder / '__init__.py'} leaves out {', '.join(sorted(unnamed))}"


@pytest.mark.parametrize("path", sorted((HARNESS / "protocol").glob("*.py")), ids=lambda path: path.name)
def test_the_protocol_is_pure(path: Path) -> None:
    outside = {name.split(".")[0] for name in imported(path)} - {"harness", "__future__"}
    assert outside <= PURE, f"{path.name} imports {', '.join(sorted(outside - PURE))}"


@pytest.mark.parametrize("module", ["harness.cli.app", "harness.pytest_plugin", "harness.validation"])
def test_quick_paths_import_nothing_heavy(module: str) -> None:
    heavy = ["tensorflow", "keras", "matplotlib", *(["numpy"] if module != "harness.validation" else [])]
    code = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_engine_knows_no_chip_and_no_protocol_code() -> None:
    allowed = {
        "wire": {"wire_"},
        "engine": {
            "wire_defs.h",
            "engine.h",
            "gates.h",
            "activation",
            "elementary.h",
            "packed",
            "tanh_table.h",
            "dsp/",
        },
        "image": {"wire_", "activation.h", "engine.h", "gates.h", "packed.h", "image"},
        "app": {
            "wire_",
            "image.h",
            "baud.h",
            "board.h",
            "app.h",
            "frame_link.h",
            "handlers.h",
            "loader.h",
            "notices.h",
        },
    }
    standard = {"assert.h", "float.h", "stdbool.h", "stddef.h", "stdint.h", "string.h"}
    for component, prefixes in allowed.items():
        for path in (project_root() / "firmware" / "lib" / component).glob("*.[ch]"):
            for line in path.read_text().splitlines():
                if line.startswith("#include"):
                    name = line.split()[1].strip('<>"')
                    if (path.name, name) == ("packed_table.h", "math.h"):
                        continue  # fmaf, which is one instruction on the chip
                    assert name in standard or any(name.startswith(p) for p in prefixes), f"{path.name}: {line}"
