"""A recorded link without its device: as messages, to the session of a host, and as a line to talk to."""
