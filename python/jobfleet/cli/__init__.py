"""The `jobfleet` command."""

import sys
from typing import NoReturn


def main() -> NoReturn:
    """Run the command line of this process."""
    arguments = sys.argv[1:]
    try:
        if arguments[:1] == ["run"]:
            # The way of most starts: without the option library, which takes longer to import than all else.
            from jobfleet.cli.quick import parse  # noqa: PLC0415

            parsed = parse(arguments[1:])
            if parsed is not None:
                from jobfleet.cli.start import start  # noqa: PLC0415

                sys.exit(start(parsed))
        from jobfleet.cli.app import app  # noqa: PLC0415

        app(prog_name="jobfleet")
    except KeyboardInterrupt:
        # A second Ctrl-C, or one before there is a fleet to drain.
        from jobfleet.supervisor.exits import ExitCode  # noqa: PLC0415

        sys.exit(ExitCode.FORCED)
    sys.exit(0)
