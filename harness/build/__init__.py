"""Builds the firmware: for the chip with PlatformIO, for this machine with its own compiler.

    recipe     what firmware/build.json says        cmsis       fetches CMSIS-DSP's sources
    platformio the chip's ELF                       pio_local   PlatformIO without its registry
    native     the host's executable, host tools    elf         reads an ELF
    paths      where all this lies                  installed   the sources that a wheel carries
    tools      runs compilers, shows their errors   fingerprint has anything changed?
    places     an address -> function, file, line   identity    which program this is, to the letter
    program    the program that a device runs       commit      the git commit of where a run is started
    upload     the ELF onto a board by OpenOCD      pyocd       the same by pyOCD; flasher runs either

`paths`, `installed`, `recipe` and `cmsis` need nothing but the standard library: PlatformIO's extra script imports them
too, in whatever Python PlatformIO runs in.
"""
