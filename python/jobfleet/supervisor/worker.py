"""One worker process as the supervisor knows it."""

from __future__ import annotations

import asyncio
import time

from jobfleet.supervisor.lifecycle import WORKER_TRANSITIONS, LifeCycle, Reason, WorkerState
from jobfleet.supervisor.output import Output
from jobfleet.supervisor.reaper import Child


class Worker:
    """From the request to fork it until its death; a replacement is another worker with the same index."""

    def __init__(self, worker: int, index: int, restarts: int, output: Output, life: LifeCycle[WorkerState]) -> None:
        self.id = worker
        self.index = index
        self.restarts = restarts
        self.output = output
        self.life = life
        self.child: Child | None = None
        self.error: str | None = None
        self.is_dismissed = False
        self.requested_at = time.monotonic()
        self._deadline: asyncio.TimerHandle | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, once it is forked."""
        return self.child.pid if self.child else None

    @property
    def state(self) -> WorkerState:
        """Where it is in its life."""
        return self.life.state

    def dismiss(self, reason: Reason) -> None:
        """It has been told to leave, and nobody takes its place."""
        self.is_dismissed = True
        self.life.leave(reason)
        self.clear_deadline()

    def stop(self, reason: Reason) -> None:
        """Kill it, now or as soon as it is forked."""
        self.life.leave(reason)
        if self.child is not None:
            self.child.kill()

    def set_deadline(self, timer: asyncio.TimerHandle) -> None:
        """Run `timer` unless the worker becomes ready or dies before."""
        self._deadline = timer

    def clear_deadline(self) -> None:
        """What the deadline was for has happened."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def new_life(on_illegal: object = None) -> LifeCycle[WorkerState]:
    """The life of a worker that is about to be forked."""
    return LifeCycle(WORKER_TRANSITIONS, WorkerState.STARTING, on_illegal if callable(on_illegal) else None)
