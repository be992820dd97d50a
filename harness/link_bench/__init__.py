"""Goodput of the link: payload bits in relation to what the line could have carried in the time.

run          a load, and the streaming of h and c, at each rate
tap          what went over the line meanwhile, with times
device_work  what the device computes for it, so that a line in virtual time is not faster than the chip
chip         what the link takes of the chip: flash, RAM, the longest wait of a received byte
record       what was found
docgen       the tables of docs/LINK.md
"""
