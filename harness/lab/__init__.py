"""Boards that a lab shares, by labgrid: a place is acquired, its serial port used over the network, and released.

labgrid needs a pyserial of its own, which would take the place of ours, so it lives in an environment of its own and is
driven as a process.

    find       the client: LABGRID_PATH, PATH, or what was installed
    install    the client into the user's cache
    keeper     a script of its own that holds a place for as long as somebody listens
    shown      what the client prints of a place
    place      a place, acquired and released
    target     the board of a place
"""
