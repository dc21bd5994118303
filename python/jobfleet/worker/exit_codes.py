"""Why a worker process or a zygote ended by itself."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit status of a worker process or a zygote. Anything else is a death that nobody planned."""

    DRAINED = 0
    """Everything given to it is settled, or it was told to quit."""
    START_FAILED = 70
    """Handlers did not load in the worker, or an `@on_start` hook raised; the reason went over the link."""
    SUPERVISOR_GONE = 71
    """The process that it works for is not its parent."""
    NOT_STARTED = 72
    """It could not set itself up: descriptors, flight recorder, control socket."""
    BROKEN = 73
    """A defect of jobfleet's own code in the worker; the traceback is on its stderr."""
