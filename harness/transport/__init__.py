"""Bytes in, bytes out. A transport knows no frames; it says in words what went wrong with the line."""
