"""Reload: new generations are tried beside the old ones, and the fleet is switched over to them in one step.

All pools are switched, or none: when a generation cannot be loaded or its workers do not become ready, the old ones
go on, and the outcome says why. One reload runs at a time; what is asked for meanwhile comes next, together.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable
from typing import Final, Literal, Protocol

import msgspec

from jobfleet.config.errors import SettingsError
from jobfleet.config.load import Loaded as LoadedSettings
from jobfleet.config.model import PoolPlan, Settings
from jobfleet.supervisor.changes import Changes, Sizes, compare
from jobfleet.supervisor.lifecycle import FleetState, PoolState, Reason
from jobfleet.supervisor.loading import send_load
from jobfleet.supervisor.log import Log
from jobfleet.supervisor.messages import LoadFailed
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.pools import Pools
from jobfleet.supervisor.reloadorder import Cause, Order, ReloadOutcome, ReloadRefused
from jobfleet.supervisor.surroundings import Surroundings

# Errors beyond this are counted, not listed.
_ERRORS_SHOWN: Final = 20


class ReloadingFleet(Protocol):
    """The fleet, as far as a reload is concerned."""

    settings: Settings
    sizes: Sizes
    pools: Pools

    @property
    def state(self) -> FleetState: ...
    def reload_began(self) -> None: ...
    def reload_ended(self, outcome: ReloadOutcome) -> None: ...


class Reloader:
    """Runs reloads one after the other. Implements `Trial`."""

    def __init__(
        self,
        fleet: ReloadingFleet,
        around: Surroundings,
        log: Log,
        reread: Callable[[], tuple[LoadedSettings, list[PoolPlan]]],
    ) -> None:
        self._fleet = fleet
        self._around = around
        self._log = log
        self._reread = reread
        self._running: Order | None = None
        self._queued: Order | None = None
        self._changes: Changes | None = None
        self._claims: dict[str, str] = {}
        self._trials: dict[str, Pool] = {}
        self._kept: dict[str, Pool] = {}
        self.last: ReloadOutcome | None = None
        self.counts = {"done": 0, "failed": 0}

    @property
    def present(self) -> ReloadOutcome | None:
        """The reload that runs, else the last one."""
        return self._running.outcome if self._running else self.last

    @property
    def is_queued(self) -> bool:
        """Whether another reload follows."""
        return self._queued is not None

    def trial(self, pool: str) -> Pool | None:
        """The generation of a pool that is on trial."""
        return self._trials.get(pool)

    def awaits(self, pool: str) -> bool:
        """Whether a new generation of this pool is on trial, or was asked for by name and comes next."""
        queued = self._queued.pools if self._queued is not None else None
        return pool in self._trials or (queued is not None and pool in queued)

    def request(self, why: str, pools: set[str] | None = None) -> asyncio.Future[ReloadOutcome]:
        """Reload these pools, or the whole fleet. Raises `ReloadRefused` in a drain."""
        if self._fleet.state in (FleetState.DRAINING, FleetState.STOPPED):
            raise ReloadRefused("the fleet is draining: it ends and cannot reload; start it anew")
        if self._queued is not None:
            self._queued.join(why, pools)
            return self._queued.ended
        order = Order(why, pools, self._around.loop)
        if self._running is None and self._fleet.state is FleetState.RUNNING:
            self._begin(order)
        else:
            self._queued = order
            self._log.info(f"{why}: a reload follows the one that goes on")
        return order.ended

    def renew(self, pool: str, why: str) -> None:
        """A pool asks for a new generation of itself; pointless in a drain and beside a reload of that pool."""
        running = self._running is not None and pool in self._trials
        if not running and self._queued is None and self._fleet.state is FleetState.RUNNING:
            self.request(f"pool {pool}: {why}", {pool})

    def go_on(self) -> None:
        """Begin with what was asked for before the fleet ran."""
        if self._running is None and self._queued is not None:
            order, self._queued = self._queued, None
            self._begin(order)

    def cancel(self, why: str) -> None:
        """The fleet ends: so does everything that was asked for."""
        queued, self._queued = self._queued, None
        if self._running is not None:
            self._fail("drain", LoadFailed(error=why))
        if queued is not None:
            queued.outcome.state, queued.outcome.cause, queued.outcome.error = "failed", "drain", why
            queued.ended.set_result(queued.outcome)

    # -- what the generations on trial say

    def is_warm(self, pool: Pool) -> None:
        """Every worker of a new generation is ready."""
        # Not in the middle of a step of that pool.
        self._around.loop.call_soon(self._look)

    def has_failed(self, pool: Pool, error: LoadFailed) -> None:
        """A new generation is of no use."""
        if self._running is None or self._trials.get(pool.plan.name) is not pool:
            return
        before = self._fleet.pools.current.get(pool.plan.name)
        if before is not None and before.state is PoolState.DEGRADED and len(self._trials) > 1:
            # It was broken before: the pools that can be reloaded need not wait for it.
            self._warn(f"pool {pool.plan.name} stays degraded: {error.error}")
            del self._trials[pool.plan.name]
            self._kept[pool.plan.name] = before
            pool.abandon()
            self._look()
            return
        cause: Cause = "handlers" if pool.handlers is None else "workers"
        self._fail(cause, error, f"pool {pool.plan.name}: ")

    # -- inside

    def _begin(self, order: Order) -> None:
        self._running = order
        order.outcome.state, order.outcome.since = "running", time.time()
        self._changes, self._trials, self._kept = None, {}, {}
        self._log.info(f"reload: {order.outcome.why}")
        self._around.hub.publish("reload_began", reason=order.outcome.why)
        self._fleet.reload_began()
        try:
            plans = self._plans(order)
        except SettingsError as error:
            shown = error.problems[:_ERRORS_SHOWN]
            self._fail("settings", LoadFailed(error="; ".join(shown)))
            return
        current = self._fleet.pools.current
        self._claims = {kind: name for kind, name in self._around.types.items() if name in self._kept}
        for plan in plans:
            before = current.get(plan.name)
            generation = before.generation + 1 if before is not None else 1
            self._trials[plan.name] = Pool(plan, self._around, generation, self._claims, self)
        self._fleet.pools.others += self._trials.values()
        self._start(list(self._trials.values()))

    def _plans(self, order: Order) -> list[PoolPlan]:
        """The pools to try; the others are kept. Raises `SettingsError`."""
        current = self._fleet.pools.current
        if order.pools is not None:
            wanted = [pool for name, pool in current.items() if name in order.pools]
            self._kept = {name: pool for name, pool in current.items() if name not in order.pools}
            return [pool.plan for pool in wanted]
        loaded, plans = self._reread()
        self._changes = compare(self._fleet.settings, loaded.settings)
        order.outcome.applied, order.outcome.needs_restart = self._changes.applied, self._changes.needs_restart
        for note in loaded.notes:
            self._warn(note)
        plans = [self._fleet.sizes.resolve(plan) for plan in plans]
        # What was drained by command stays so, until it is told to go on.
        self._kept = {plan.name: current[plan.name] for plan in plans if _is_left(current.get(plan.name))}
        for plan in plans:
            if plan.name in self._kept:
                self._kept[plan.name].plan = plan
        return [plan for plan in plans if plan.name not in self._kept]

    def _start(self, trials: list[Pool]) -> None:
        for pool in trials:
            try:
                spawned = self._around.spawn()
            except OSError as error:
                self._fail("system", LoadFailed(error=f"no process for the handlers can be started: {error}"))
                return
            # One that is dead already has a pidfd that tells so.
            with contextlib.suppress(OSError):
                send_load(spawned, pool.plan, pool.generation)
            pool.start(spawned)
        self._look()

    def _look(self) -> None:
        """Switch over when every generation on trial is warm."""
        if self._running is not None and all(pool.state is PoolState.STANDBY for pool in self._trials.values()):
            self._switch(self._running)

    def _switch(self, order: Order) -> None:
        pools, grace_s = self._fleet.pools, self._fleet.settings.grace.s
        if self._changes is not None:
            self._fleet.settings = self._changes.settings
            self._around.core.set_grace(self._fleet.settings.grace.ms)
        trials, self._trials = self._trials, {}
        chosen = {**self._kept, **trials}
        # In the order of the settings, so that status does not jump about.
        names = [*(name for name in pools.current if name in chosen), *chosen]
        before = dict(pools.current)
        for name, pool in trials.items():
            pool.switched(before.get(name))
        replaced = [pool for pool in pools.replace({name: chosen[name] for name in names}) if not pool.is_draining]
        self._around.core.switch_pools(_ids(trials.values()), _ids(replaced))
        for pool in replaced:
            pool.retire(Reason.RETIRED, grace_s)
        for kind, name in self._around.types.items():
            if name in self._kept:
                self._claims.setdefault(kind, name)
        self._around.types.clear()
        self._around.types.update(self._claims)
        order.outcome.pools = {name: pool.generation for name, pool in trials.items()}
        self._end(order, "done")

    def _fail(self, cause: Cause, error: LoadFailed, place: str = "") -> None:
        order = self._running
        if order is None:
            return
        trials, self._trials = self._trials, {}
        outcome = order.outcome
        outcome.cause, outcome.error, outcome.detail = cause, place + error.error, error.detail
        outcome.path, outcome.line = error.path, error.line
        for pool in trials.values():
            pool.abandon()
        self._end(order, "failed")

    def _end(self, order: Order, state: Literal["done", "failed"]) -> None:
        outcome = order.outcome
        outcome.state, outcome.took_s = state, round(time.time() - outcome.since, 3)
        self._running, self.last = None, outcome
        self.counts[state] += 1
        self._tell(outcome)
        self._around.hub.publish("reload_ended", **msgspec.to_builtins(outcome))
        order.ended.set_result(outcome)
        self._fleet.reload_ended(outcome)
        self._around.changed()
        # In a turn of its own: what led here may be in the middle of a step.
        self._around.loop.call_soon(self.go_on)

    def _tell(self, outcome: ReloadOutcome) -> None:
        if outcome.needs_restart:
            self._warn(f"changed settings that need a restart of the fleet: {', '.join(outcome.needs_restart)}")
        if outcome.state == "failed":
            self._log.error(
                f"reload failed, the fleet goes on as it was: {outcome.error}", path=outcome.path, line=outcome.line
            )
            if outcome.detail:
                self._log.info(outcome.detail.rstrip())
            return
        generations = ", ".join(f"{name} (generation {number})" for name, number in outcome.pools.items())
        applied = f"; changed: {', '.join(outcome.applied)}" if outcome.applied else ""
        self._log.info(f"reloaded in {outcome.took_s:g} s: {generations or 'no pool'}{applied}")

    def _warn(self, warning: str) -> None:
        self._log.warning(f"reload: {warning}")
        if self._running is not None:
            self._running.outcome.warnings.append(warning)
        elif self.last is not None:
            self.last.warnings.append(warning)


def _is_left(pool: Pool | None) -> bool:
    return pool is not None and pool.is_draining


def _ids(pools: Iterable[Pool]) -> list[int]:
    return [pool.pool_id for pool in pools if pool.pool_id is not None]
