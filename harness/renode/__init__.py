"""Renode as a program of this machine: where it is, and how it comes here. `harness.targets.renode` runs it.

No package manager has it, so that set-up gets it only when asked.

    find       RENODE_PATH, PATH, or what was installed
    release    the release that this is made for: address, packages, their hashes
    download   a file from an address, whole or an error
    install    a package into the user's cache, checked before it is unpacked
"""
