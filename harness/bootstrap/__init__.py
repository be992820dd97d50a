"""Gets a bare machine ready: the virtual environment, and the system parts that pip cannot install.

Imported by the launcher before anything is installed, so it may import the standard library, `harness.errors` and
itself, nothing else. What every start passes through (`launch`, `stamp`) imports as little as it can: it is the delay
that each `./hil` begins with.

    launch        go to the installed program, or make it first
    stamp         does .venv hold what the locks say?
    environment   make .venv
    system        compilers and emulators: which are missing, and getting them
    apt           Debian's way of getting them
    console       one line on stderr
"""
