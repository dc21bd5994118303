"""Ends workers that were told to leave, when their grace period is over."""

from __future__ import annotations

import asyncio

from jobfleet.supervisor.crew import Crew
from jobfleet.supervisor.lifecycle import Reason
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.surroundings import Surroundings, Teller


class Departure:
    """The departures of one pool generation: of single workers, and of all of them."""

    def __init__(self, crew: Crew, around: Surroundings, teller: Teller) -> None:
        self._crew = crew
        self._around = around
        self._teller = teller
        self._whole: asyncio.TimerHandle | None = None

    @property
    def left_s(self) -> float | None:
        """Seconds until all workers are ended; None while they were not told to leave."""
        return None if self._whole is None else max(0.0, self._whole.when() - self._around.loop.time())

    def of_all(self, grace_s: float, reason: Reason) -> None:
        """End every worker that is left after `grace_s`."""
        why = f"{reason.value}, and the grace period of {grace_s:g} s is over"
        self._whole = self._around.loop.call_later(grace_s, self._end_all, why)

    def of_some(self, grace_s: float, workers: list[int]) -> None:
        """End those of these workers that are left after `grace_s`."""
        if workers:
            self._around.loop.call_later(grace_s, self._end, workers, f"the grace period of {grace_s:g} s is over")

    def over(self) -> None:
        """Everybody has left."""
        if self._whole is not None:
            self._whole.cancel()
            self._whole = None

    def _end_all(self, why: str) -> None:
        self._end(list(self._crew.workers), why)

    def _end(self, workers: list[int], why: str) -> None:
        """Hand back what these workers still run, and kill them: it is no death that a job is to blame for."""
        left = [worker for worker in workers if worker in self._crew.workers]
        if left:
            self._teller.say(Level.WARNING, f"{why}: the jobs of {len(left)} workers are handed back")
            self._around.core.give_up_workers(left, why)
        for worker in left:
            self._crew.workers[worker].stop(Reason.GRACE_OVER)
