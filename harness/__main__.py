"""`python -m harness` is `hil`."""

from harness.cli import main

main()
