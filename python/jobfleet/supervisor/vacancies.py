"""The places of a crew that have no worker: which are to be filled now, which later, and which after a recovery."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Iterable

from jobfleet.supervisor.lifecycle import Reason
from jobfleet.supervisor.restart import RestartPolicy


class Vacancies:
    """One place for each index. `fill` is called whenever one becomes due."""

    def __init__(self, size: int, loop: asyncio.AbstractEventLoop, fill: Callable[[], None]) -> None:
        self._loop = loop
        self._fill = fill
        self._due: list[int] = []
        self._parked: set[int] = set()
        self._timers: dict[int, asyncio.TimerHandle] = {}
        self._restarts = [0] * size
        self.policy = RestartPolicy(size, random.random)

    def __contains__(self, index: int) -> bool:
        """Whether this place is to be filled now."""
        return index in self._due

    def __bool__(self) -> bool:
        """Whether any place is to be filled now."""
        return bool(self._due)

    @property
    def is_settled(self) -> bool:
        """Whether no place is vacant, whatever it waits for."""
        return not (self._due or self._timers or self._parked)

    @property
    def restarts(self) -> int:
        """How often a worker was replaced, over all places."""
        return sum(self._restarts)

    def restarts_of(self, index: int) -> int:
        """How often the worker of this place was replaced."""
        return self._restarts[index]

    def take(self) -> int:
        """The place that is to be filled next, which counts as filled."""
        return self._due.pop(0)

    def open(self, indexes: Iterable[int]) -> None:
        """Have these places filled at the next occasion."""
        self._due.extend(indexes)

    def want(self, index: int) -> None:
        """Have this place filled now."""
        self._timers.pop(index, None)
        self._due.append(index)
        self._fill()

    def resize(self, size: int) -> None:
        """Have so many places. Those beyond are filled no more."""
        self.policy.resize(size)
        self._restarts.extend([0] * (size - len(self._restarts)))
        self._due = [index for index in self._due if index < size]
        self._parked = {index for index in self._parked if index < size}
        for index in [index for index in self._timers if index >= size]:
            self._timers.pop(index).cancel()

    def unpark_probe(self) -> None:
        """While a breaker is open, one place goes on trying; it may be another one after a change of size."""
        probe = self.policy.probe
        if probe in self._parked:
            self._parked.remove(probe)
            self._due.append(probe)

    def died(self, index: int, jobs: int) -> Reason | None:
        """A worker died that nobody had told to go, after so many jobs; the breaker that this opens."""
        self._restarts[index] += 1
        verdict = self.policy.died(index, time.monotonic(), jobs)
        if verdict.opened is not None:
            for other in [other for other in self._timers if other != index]:
                self._timers.pop(other).cancel()
                self._parked.add(other)
        if verdict.delay_s is None:
            self._parked.add(index)
        elif verdict.delay_s == 0:
            self.want(index)
        else:
            self._timers[index] = self._loop.call_later(verdict.delay_s, self.want, index)
        return verdict.opened

    def forgive(self, index: int, deaths: int) -> None:
        """So many deaths were one job's fault: the last worker is replaced at once, and no breaker counts them."""
        self.policy.forgive(index, deaths)
        timer = self._timers.get(index)
        if timer is not None and self.policy.breaker is None:
            timer.cancel()
            self.want(index)

    def recover(self) -> None:
        """Fill the places that waited for the pool's recovery."""
        parked, self._parked = sorted(self._parked), set()
        self._due.extend(parked)
        self._fill()

    def close(self) -> None:
        """Fill none from now on."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        self._due.clear()
