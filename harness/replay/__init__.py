"""A recorded link without its device.

messages     as messages, and what was none
host         to the session of a host, which draws its conclusions once more
transport    as a line to talk to
"""
