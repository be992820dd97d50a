"""What is wrong with a rig, by looking: `hil doctor`, and what ends a run over a link that does not answer.

A check takes what it looks at as arguments (ports, an opener of lines, a clock), gives a line of text where all is
well, and raises a finding (`harness.findings`) where it is not.

    machine      checks of this machine: disks, folders, tools
    board        checks of a board: its port, its probe, who answers there
    line         who is at the other end of a port when our firmware does not answer; looks: by what it sends
    outcomes     what came of the checks, and the verdict
    docgen       the generated parts of docs/TROUBLESHOOTING.md
"""
