"""Builds firmware.elf and firmware.bin and uploads, as ststm32's script does for a program without a framework."""

from os.path import join

from SCons.Script import COMMAND_LINE_TARGETS, AlwaysBuild, Builder, Default, DefaultEnvironment

env = DefaultEnvironment()

env.Replace(
    AR="arm-none-eabi-gcc-ar",
    CC="arm-none-eabi-gcc",
    LINK="arm-none-eabi-gcc",
    OBJCOPY="arm-none-eabi-objcopy",
    RANLIB="arm-none-eabi-gcc-ranlib",
    SIZETOOL="arm-none-eabi-size",
    SIZECHECKCMD="$SIZETOOL -A -d $SOURCES",
    SIZEPRINTCMD="$SIZETOOL -B -d $SOURCES",
    SIZEPROGREGEXP=r"^(?:\.isr_vector|\.text|\.rodata|\.data)\s+(\d+).*",
    SIZEDATAREGEXP=r"^(?:\.stack|\.data|\.bss)\s+(\d+).*",
    PROGNAME="firmware",
    PROGSUFFIX=".elf",
)
env.Append(
    BUILDERS={
        "ElfToBin": Builder(
            action=env.VerboseAction("$OBJCOPY -O binary $SOURCES $TARGET", "Building $TARGET"), suffix=".bin"
        )
    }
)

# As there: `-t nobuild -t upload` uploads what was built before.
has_elf = "nobuild" in COMMAND_LINE_TARGETS
elf = join("$BUILD_DIR", "${PROGNAME}.elf") if has_elf else env.BuildProgram()
binary = env.ElfToBin("$BUILD_DIR/${PROGNAME}", elf)
if not has_elf:
    env.Depends(binary, "checkprogsize")
AlwaysBuild(env.Alias("nobuild", binary))
AlwaysBuild(env.Alias("size", elf, env.VerboseAction("$SIZEPRINTCMD", "Calculating size $SOURCE")))
Default(env.Alias("buildprog", binary, binary), "size")

# ststm32's stlink, with the OpenOCD on the PATH. PlatformIO puts upload_flags in front.
env.Replace(
    UPLOADER="openocd",
    UPLOADERFLAGS=["-d1", "-f", "board/st_nucleo_f4.cfg", "-c", "program {$SOURCE} verify reset; shutdown;"],
    UPLOADCMD="$UPLOADER $UPLOADERFLAGS",
)
AlwaysBuild(env.Alias("upload", elf, env.VerboseAction("$UPLOADCMD", "Uploading $SOURCE")))
