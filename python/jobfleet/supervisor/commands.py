"""What a user may tell a running pool: scale, restart, pause, resume, drain."""

from __future__ import annotations

import asyncio
from typing import Final, Protocol

import msgspec

from jobfleet.supervisor.core import CoreLike
from jobfleet.supervisor.lifecycle import FleetState, PoolState, Reason
from jobfleet.supervisor.log import Log
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.reload import Reloader, ReloadingFleet
from jobfleet.supervisor.reloadorder import ReloadOutcome, ReloadRefused

MOST_PROCESSES: Final = 4096


class Refused(Exception):
    """A command that cannot be carried out: one sentence for the user, and the HTTP status that fits."""

    def __init__(self, status: int, error: str) -> None:
        super().__init__(error)
        self.status = status


class PoolAnswer(msgspec.Struct, kw_only=True):
    """How a pool is after a command."""

    pool: str
    state: str
    generation: int
    processes: int
    """How many worker processes it should have."""


class CommandedFleet(ReloadingFleet, Protocol):
    """The fleet, as far as commands are concerned."""

    core: CoreLike

    @property
    def log(self) -> Log: ...
    @property
    def reloader(self) -> Reloader: ...


class PoolCommands:
    """Carries out commands. Every method raises `Refused`."""

    def __init__(self, fleet: CommandedFleet) -> None:
        self._fleet = fleet

    def scale(self, name: str, processes: object) -> PoolAnswer:
        """Have this many worker processes, until the fleet restarts or the setting changes."""
        if not isinstance(processes, int) or isinstance(processes, bool) or not 1 <= processes <= MOST_PROCESSES:
            raise Refused(400, f"`processes` must be a whole number from 1 to {MOST_PROCESSES}, not {processes!r}")
        pool = self._serving(name)
        settings = self._fleet.settings
        self._fleet.sizes.command(name, pool.plan.processes, processes)
        self._fleet.log.info(f"pool {name}: {pool.crew.size} to {processes} processes")
        for each in filter(None, (pool, self._fleet.reloader.trial(name))):
            each.scale(processes, settings.grace.s)
        return _answer(pool)

    def pause(self, name: str) -> PoolAnswer:
        """Activate nothing and hand back what waits; running jobs finish, workers stay."""
        pool = self._serving(name)
        if pool.pause():
            self._fleet.log.info(f"pool {name} is paused")
        return _answer(pool)

    def resume(self, name: str) -> PoolAnswer | asyncio.Future[ReloadOutcome]:
        """Go on after a pause; start a drained pool again."""
        pool = self._pool(name)
        if pool.is_draining:
            return self.restart(name, "resumed")
        if pool.resume():
            self._fleet.log.info(f"pool {name} goes on")
        return _answer(pool)

    def restart(self, name: str, why: str = "restarted") -> asyncio.Future[ReloadOutcome]:
        """Replace every process of the pool by fresh ones, the new ones first."""
        self._pool(name)
        try:
            return self._fleet.reloader.request(f"pool {name} is {why}", {name})
        except ReloadRefused as refused:
            raise Refused(409, str(refused)) from None

    def drain(self, name: str) -> PoolAnswer:
        """Activate nothing, let running jobs finish within the grace period, and end every process of the pool."""
        pool = self._pool(name)
        if self._fleet.reloader.awaits(name):
            raise Refused(409, f"pool {name} is being reloaded; drain it when that is over")
        if not pool.is_draining:
            grace_s = self._fleet.settings.grace.s
            self._fleet.log.info(f"pool {name} drains; its jobs have {grace_s:g} s to finish")
            if pool.pool_id is not None:
                self._fleet.core.retire_pool(pool.pool_id)
            pool.retire(Reason.DRAIN, grace_s)
        return _answer(pool)

    def _pool(self, name: str) -> Pool:
        if self._fleet.state in (FleetState.DRAINING, FleetState.STOPPED):
            raise Refused(409, "the fleet is draining; it takes no more commands")
        pool = self._fleet.pools.current.get(name)
        if pool is None:
            known = ", ".join(self._fleet.pools.current)
            raise Refused(404, f"there is no pool {name!r} in this fleet; its pools: {known}")
        return pool

    def _serving(self, name: str) -> Pool:
        pool = self._pool(name)
        if pool.is_draining:
            state = "has been drained" if pool.state is PoolState.DRAINED else "is draining"
            raise Refused(409, f"pool {name} {state}; start it again with `jobfleet resume {name}`")
        return pool


def _answer(pool: Pool) -> PoolAnswer:
    return PoolAnswer(pool=pool.plan.name, state=pool.state.value, generation=pool.generation, processes=pool.crew.size)
