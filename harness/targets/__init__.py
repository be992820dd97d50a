"""How a device comes to life: each target is a small class that yields a transport, or says why it cannot.

    native   the whole firmware as a process of this machine, under ASan and UBSan
    qemu     the chip's ELF on an emulated Cortex-M4F
    renode   the same with the F446RE's own memory, as platforms/ describes it
    board    a board at a serial port, flashed if need be; boards/ has what is known of each

    base     what all have in common; emulator and process what some have
    choice   which one a person chose
    lock     one user at a time for each board; pool: several boards for several workers
    retry    trying again what may come yet
    place    where a board is; identity: whether what answers there is the one that was asked for
    program  our firmware, as far as a board has to do with it
    scratch  a folder for one run of an emulator, which goes with it
    snapshot what a target says of itself, kept for reports

A target knows processes and ports; it knows neither frames nor models.
"""
