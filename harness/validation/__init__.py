"""One model on one device, from its file to its verdict.

run       the run itself: load, ask the oracle, compute on the device, compare; every end leaves a Validation
result    the Validation: what is known of a run, and what it says in a line
inputs    what a model is to be given: from a file, or at random
batch     the sequences of a batch, one after the other, on a loaded model
diagnose  what is found out once the verdict is known, and never changes it
"""

from harness.validation.batch import run_batch
from harness.validation.inputs import inputs_of_arrays, make_inputs
from harness.validation.result import Validation
from harness.validation.run import Authority, Limits, validate

__all__ = ["Authority", "Limits", "Validation", "inputs_of_arrays", "make_inputs", "run_batch", "validate"]
