"""Why numbers are wrong, and whether a test could have seen it: mistakes planted in the reference. NumPy only.

mutations        mistakes in the weights and the functions of a layer, each with a name and a meaning
runs             mistakes of how a network is run
hypotheses       a model and its inputs with one of them in it, and what it then computes
explain          which mistake gives the values that somebody has
corrupted        which one weight of an LSTM, if it is that; corrupted_dense of a Dense, solve for both
score            which mistakes given inputs could not have shown
cover            inputs that show all that can be shown
coverage         what inputs make of gates and states
first_beyond     the first wrong element
stages           which part of its step is wrong
bisection        both of them, and what the step alone gave
layers           each LSTM of a network by itself
advice           what tolerance is right for a model
"""
