"""Which job the running code belongs to."""

from contextvars import ContextVar
from typing import Any

from jobfleet.handlers.job import Job


class Slot:
    """What one thread of a sync lane runs. Set once per thread, so that a job costs one attribute and no context."""

    __slots__ = ("job",)

    def __init__(self) -> None:
        self.job: Job[Any] | None = None


RUNNING: ContextVar[Slot | Job[Any] | None] = ContextVar("jobfleet-running", default=None)
"""A thread's slot, or the job of an asyncio task; inherited by the tasks and threads that copy the context."""


def running_job() -> Job[Any] | None:
    """The job that the calling code belongs to, or None."""
    running = RUNNING.get()
    return running.job if isinstance(running, Slot) else running
