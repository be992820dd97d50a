"""Many exchanges over a line that errs, and what came of them.

cases      models and sequences, with the bits that are right
run        the exchanges: each must end with these bits or a typed error, and in time
bounded    a line with a last moment, so that one without an end can be counted
record     what came of them
"""
