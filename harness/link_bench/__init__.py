"""Goodput of the link: payload bits in relation to what the line could have carried in the time."""
