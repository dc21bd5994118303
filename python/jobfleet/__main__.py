"""`python -m jobfleet` is the `jobfleet` command."""

from jobfleet.cli import main

main()
