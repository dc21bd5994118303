"""Recycling: workers that have done enough jobs, are old or have grown are replaced before they do harm.

The replacement starts first, one at a time in each pool; the old worker then finishes its jobs and leaves.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from jobfleet.config.model import Recycling
from jobfleet.supervisor.core import CoreStatus
from jobfleet.supervisor.lifecycle import PoolState, WorkerState
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.pools import Pools

# Looked at this often, where any pool recycles.
_TICK_S: Final = 1.0
# The kernel walks every page of a process to tell its memory.
_MEMORY_S: Final = 15.0
# Workers that started together do not all go together.
_JITTER: Final = 0.2


class Wear(NamedTuple):
    """What a worker has been through."""

    jobs: int
    age_s: float
    grown_bytes: int


def worn(rules: Recycling, wear: Wear, share: float) -> str | None:
    """Why a worker is to be replaced; None when it is not. `share`, 0 to 1, is its place in the jitter."""
    factor = 1.0 + _JITTER * (share - 0.5)
    if rules.jobs is not None and wear.jobs >= rules.jobs * factor:
        return f"it has done {wear.jobs} jobs"
    if rules.age is not None and wear.age_s >= rules.age.s * factor:
        return f"it is {wear.age_s:.0f} s old"
    if rules.growth is not None and wear.grown_bytes >= rules.growth * factor:
        return f"its memory has grown by {wear.grown_bytes / 2**20:.0f} MB"
    return None


class Memory:
    """What workers have grown by since they were first looked at. Reads /proc, so `look` belongs into a thread."""

    def __init__(self) -> None:
        self._baseline: dict[int, int] = {}
        self._grown: dict[int, int] = {}

    def grown(self, worker: int) -> int:
        """Bytes; 0 as long as nothing is known."""
        return self._grown.get(worker, 0)

    def look(self, pids: dict[int, int]) -> None:
        """Look at these workers (id to pid), and forget all others."""
        from jobfleet.supervisor.facts import facts_of  # noqa: PLC0415 - most fleets do not recycle

        found = {worker: facts_of(pid).memory_bytes for worker, pid in pids.items()}
        self._baseline = {worker: self._baseline.get(worker, size) for worker, size in found.items() if size}
        self._grown = {worker: found[worker] - size for worker, size in self._baseline.items()}


class Recycler:
    """Looks at the workers of the pools that recycle; does not tick where none does."""

    def __init__(self, pools: Pools, core_status: Callable[[], CoreStatus], loop: asyncio.AbstractEventLoop) -> None:
        self._pools = pools
        self._core_status = core_status
        self._loop = loop
        self._random = random.random
        self._memory = Memory()
        self._shares: dict[int, float] = {}
        self._looked_at = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Future[None] | None = None

    def start(self) -> None:
        """Begin, if any pool recycles. Idempotent; to be called again when pools have changed."""
        if self._timer is None and self._concerned():
            self._timer = self._loop.call_later(_TICK_S, self._tick)

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _concerned(self) -> list[Pool]:
        return [
            pool
            for pool in self._pools.current.values()
            if pool.plan.recycle != Recycling() and pool.state in (PoolState.READY, PoolState.PAUSED)
        ]

    def _tick(self) -> None:
        self._timer = None
        self.start()
        pools = self._concerned()
        jobs = {worker.worker: worker.jobs for worker in self._core_status().workers} if pools else {}
        for pool in pools:
            self._recycle(pool, jobs)
        if any(pool.plan.recycle.growth is not None for pool in pools):
            self._look_at_memory(pools)

    def _recycle(self, pool: Pool, jobs: dict[int, int]) -> None:
        """Replace the most worn worker of a pool, if it is due and no other is being replaced."""
        now = time.monotonic()
        for worker in pool.crew:
            if worker.state is not WorkerState.READY or worker.is_dismissed:
                continue
            share = self._shares.setdefault(worker.id, self._random())
            wear = Wear(jobs.get(worker.id, 0), now - worker.requested_at, self._memory.grown(worker.id))
            why = worn(pool.plan.recycle, wear, share)
            if why is not None and pool.recycle(worker, why, has_memory=_has_memory(worker.pid)):
                del self._shares[worker.id]
                return

    def _look_at_memory(self, pools: list[Pool]) -> None:
        due = self._loop.time() - self._looked_at >= _MEMORY_S
        if not due or (self._looking is not None and not self._looking.done()):
            return
        self._looked_at = self._loop.time()
        ready = [worker for pool in pools for worker in pool.crew if worker.state is WorkerState.READY]
        pids = {worker.id: worker.pid for worker in ready if worker.pid is not None}
        self._shares = {worker: share for worker, share in self._shares.items() if worker in pids}
        self._looking = self._loop.run_in_executor(None, self._memory.look, pids)


def _has_memory(pid: int | None) -> bool:
    """Whether the host has room for another process like this one."""
    import psutil  # noqa: PLC0415 - most fleets do not recycle

    from jobfleet.supervisor.facts import facts_of  # noqa: PLC0415

    return pid is None or psutil.virtual_memory().available > 2 * facts_of(pid).memory_bytes
