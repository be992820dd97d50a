"""Estimates cycles of the Cortex-M4F from what an emulator executed. An estimate: only a board counts cycles.

disassembly  instructions of an ELF, and of an execution the order in which they ran
timing       an in-order model of the core
paths        the longest way through a function
"""
