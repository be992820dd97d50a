"""Tells PlatformIO how the firmware is compiled: what firmware/build.json says, and CMSIS-DSP.

PlatformIO runs this before the platform's own script, in its own Python: standard library only.
"""

import os
import sys
from pathlib import Path

from SCons.Script import DefaultEnvironment

env = DefaultEnvironment()
root = Path(env.subst("$PROJECT_DIR"))
board = env["PIOENV"]

sys.path.insert(0, str(root))
try:
    from harness.build import cmsis, recipe
    from harness.errors import HilError
finally:
    sys.path.remove(str(root))

parts = recipe.load()
try:
    dsp = cmsis.cmsis_dsp_dir(print)
except HilError as error:
    sys.exit(f"{error.message}\n{error.remedy}")

env.Append(
    CCFLAGS=[
        *parts.compile_flags(parts.target),
        *parts.path_flags({root: ".", dsp: "cmsis-dsp", Path(os.path.relpath(dsp, root)): "cmsis-dsp"}),
        *(flag for name in parts.cmsis_dsp.include_dirs for flag in ("-isystem", str(dsp / name))),
    ],
    CFLAGS=[*parts.warning_flags],
    CPPDEFINES=[
        *parts.cmsis_dsp.defines,
        *((name, env.StringifyMacro(value)) for name, value in parts.program_macros(parts.target, board).items()),
    ],
    CPPPATH=[str(root / name) for name in (*parts.include_dirs, f"firmware/boards/{board}")],
    LINKFLAGS=[*parts.machine_flags(parts.target), *parts.target.link_flags],
    LIBPATH=[str(root / "firmware" / "boards" / board)],  # where its memory.ld is
    LIBS=[*parts.target.libraries],
    PIOBUILDFILES=[
        env.Object(f"$BUILD_DIR/cmsis-dsp/{name[:-2]}.o", str(dsp / name), CFLAGS=[*parts.cmsis_dsp.flags])
        for name in parts.cmsis_dsp.sources
    ],
)

# To SCons a linker script is only a flag: without this a change of it would not link anew.
env.Depends("$BUILD_DIR/firmware.elf", str(root / env.subst("$LDSCRIPT_PATH")))
env.Depends("$BUILD_DIR/firmware.elf", str(root / "firmware" / "boards" / board / "memory.ld"))

# For the harness, which builds anew when the compiler has changed.
Path(env.subst("$BUILD_DIR"), "compiler.txt").write_text(os.path.realpath(env.WhereIs("arm-none-eabi-gcc") or ""))
