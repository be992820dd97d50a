"""What differs between runs, or between sets of weights: `hil compare`.

side      one of them: its record, what the device computed, and its weights where they are known
weights   two sets of weights: pruned, rounded, retrained
compare   one side against the first one, and a ranking of all; same_inputs: what both were given, or could be
tables    the same for people
"""
