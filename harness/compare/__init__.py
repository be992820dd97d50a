"""Holds what the device computed against what it should have: measures, tolerances, verdicts.

NumPy only. Knows arrays by name, and no device, no model and no oracle.

    metrics    how far two float32 arrays are apart
    tolerance  how far they may be apart, and why
    verdict    one result per tensor, and whether all passed
    bits       every bit against that of a process of this machine
    classes    what outputs of classifiers say as classes
"""
