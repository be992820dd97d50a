"""Golden files: a model, inputs and what Keras gives on them in one file, for machines without Keras. docs/GOLDEN.md.

container   head and arrays <-> the bytes of a file, every part of them checked by its SHA-256
spec_check  whether a network that somebody wrote down is one at all
file        Golden <-> a file
make        model and inputs -> Golden, by Keras
oracle      a Golden in the place of the oracle
"""
