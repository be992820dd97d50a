"""What is wrong with a rig, by looking: `hil doctor`, and what ends a run over a link that does not answer.

A check takes what it looks at as arguments (ports, an opener of lines, a clock), gives a line of text where all is
well, and raises a finding (`harness.findings`) where it is not.
"""
