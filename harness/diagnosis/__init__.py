"""Why numbers are wrong, and whether a test could have seen it: mistakes planted in the reference. NumPy only.

mutations   the table of mistakes, each with a name and a meaning
hypotheses  a model and its inputs with one of them in it, and what it then computes
explain     which mistake gives the values that somebody has
corrupted   which one weight, if it is that
score       which mistakes given inputs could not have shown
cover       inputs that show all that can be shown
bisect      the first wrong step, and which part of its computation is wrong
advice      what tolerance is right for a model
"""
