"""One generation of a pool: its handlers, its zygote and its crew of workers."""

from __future__ import annotations

import asyncio
import os
from typing import Final, Protocol

import msgspec

from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.claims import claim_types
from jobfleet.supervisor.core import pool_spec
from jobfleet.supervisor.crew import Crew
from jobfleet.supervisor.departure import Departure
from jobfleet.supervisor.inherit import inherit
from jobfleet.supervisor.keeper import ZygoteKeeper
from jobfleet.supervisor.lifecycle import POOL_TRANSITIONS, LifeCycle, PoolState, Reason
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.messages import Loaded, LoadFailed
from jobfleet.supervisor.reaper import Exit
from jobfleet.supervisor.restart import START_FAILURES
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.surroundings import Surroundings, Teller
from jobfleet.supervisor.worker import Worker
from jobfleet.worker.sources import fingerprint

# Workers of a generation on trial start beside ones that work: they get half of the processors at most.
_START_BESIDE: Final = max(1, len(os.sched_getaffinity(0)) // 2)
_CHANGED: Final = "its handlers have changed on disk"
# Nobody waits for what a failed trial leaves behind; its stop hooks get this long.
_ABANDON_S: Final = 5.0


class Trial(Protocol):
    """Who tries a generation before the fleet is switched over to it."""

    def is_warm(self, pool: Pool) -> None: ...
    def has_failed(self, pool: Pool, error: LoadFailed) -> None: ...


class Pool:
    """Keeps a zygote for its crew, and says how the pool is. Implements `KeeperOwner` and `CrewOwner`.

    With a `trial` it is on standby: its workers start, it gets no jobs, and any failure is the trial's to judge.
    """

    def __init__(
        self,
        plan: PoolPlan,
        around: Surroundings,
        generation: int = 1,
        claims: dict[str, str] | None = None,
        trial: Trial | None = None,
    ) -> None:
        self._around = around
        self._teller = Teller(plan.name, around)
        self._claims = around.types if claims is None else claims
        self._trial = trial
        self._timer: asyncio.TimerHandle | None = None
        self._held_back: str | None = None
        self.plan = plan
        self.generation = generation
        self.pool_id: int | None = None
        self.restarts_before = 0
        self.life: LifeCycle[PoolState] = LifeCycle(POOL_TRANSITIONS, PoolState.STARTING, self._teller.defect)
        self.crew = Crew(plan, around, self._teller, self)
        self._departure = Departure(self.crew, around, self._teller)
        self._keeper = ZygoteKeeper(plan, generation, around, self._teller, self)
        self.handlers: Loaded | None = None
        self.load_error: LoadFailed | None = None
        self.why: str | None = None

    def start(self, spawned: Spawned) -> None:
        """Begin with a zygote that has been asked to load."""
        self._keeper.start(spawned)
        if self._trial is not None:
            self._clear_timer()
            self._timer = self._around.loop.call_later(self.plan.start_timeout_s, self._load_overdue)

    @property
    def state(self) -> PoolState:
        """Where it is in its life."""
        return self.life.state

    @property
    def is_draining(self) -> bool:
        """Whether it was told to leave."""
        return self.state in (PoolState.DRAINING, PoolState.DRAINED)

    @property
    def is_gone(self) -> bool:
        """Whether no process of it is left."""
        return not self.crew.workers and self._keeper.is_gone

    @property
    def grace_left_s(self) -> float | None:
        """Seconds until its running jobs are handed back; None while it was not told to leave."""
        return self._departure.left_s

    @property
    def zygote_pid(self) -> int | None:
        """The process that forks its workers."""
        return self._keeper.pid

    @property
    def restarts(self) -> int:
        """How often a worker was replaced, in the generations before this one too."""
        return self.restarts_before + self.crew.restarts

    # -- what it is told

    def drain(self) -> None:
        """Let every worker finish what it runs and leave; the fleet sees to the end of its grace period."""
        self._leave(Reason.DRAIN)

    def retire(self, reason: Reason, grace_s: float) -> None:
        """Let every worker finish what it runs within the grace period, and leave."""
        if self._leave(reason) and self.state is PoolState.DRAINING:
            self._departure.of_all(grace_s, reason)

    def abandon(self) -> None:
        """It has failed its trial: let it leave, soon."""
        if self.pool_id is not None:
            self._around.core.retire_pool(self.pool_id)
        self._trial = None
        self.retire(Reason.ABANDONED, _ABANDON_S)

    def switched(self, before: Pool | None) -> None:
        """It has passed its trial, and takes over from the generation before it."""
        self._trial = None
        self.life.leave(Reason.SWITCHED)
        if before is not None:
            self.restarts_before = before.restarts
            if before.state is PoolState.PAUSED:
                self.pause()
        self.crew.hurry()

    def pause(self) -> bool:
        """Activate nothing, and hand back what has not started; False when it is paused or leaves."""
        if self.state is PoolState.PAUSED or self.is_draining:
            return False
        self.life.leave(Reason.PAUSE)
        self._tell("pool_paused")
        return True

    def resume(self) -> bool:
        """Go on after `pause`; False when it was not paused."""
        if self.state is not PoolState.PAUSED:
            return False
        self.life.leave(Reason.RESUME)
        self._tell("pool_resumed")
        if self.crew.is_broken or (self.load_error is not None and not self.crew.has_ready):
            self._degrade(Reason.NEVER_READY if self.load_error is None else Reason.LOAD_FAILED, self.why or "")
        elif self.crew.has_ready:
            self.crew_works()
        return True

    def scale(self, processes: int, grace_s: float) -> None:
        """Have as many workers as this. Those that are too many get the grace period to finish."""
        self.plan = msgspec.structs.replace(self.plan, processes=processes)
        self.crew.resize(processes)
        self._departure.of_some(grace_s, [worker.id for worker in self.crew.dismissed])
        self._tell("pool_scaled")
        if self._trial is not None:
            self.crew_works()

    def recycle(self, worker: Worker, why: str, *, has_memory: bool) -> bool:
        """Replace a worker that is worn out; False while the pool has another one to start."""
        if not self.crew.recycle(worker, replacement_first=has_memory):
            return False
        order = "" if has_memory else "; it leaves first, since the host is short of memory"
        self._teller.say(Level.INFO, f"worker {worker.index} is recycled: {why}{order}", pid=worker.pid)
        self._teller.publish("worker_recycled", worker=worker.id, index=worker.index, pid=worker.pid, reason=why)
        return True

    def stop(self, reason: Reason) -> None:
        """Kill every process. Only after it was told to leave, so that nothing is replaced."""
        self.crew.stop(reason)
        self._keeper.kill()

    def close(self) -> None:
        """Kill every process; nobody waits for their end."""
        self._clear_timer()
        self._departure.over()
        self.crew.abandon()
        self._keeper.close()

    # -- what the zygote says

    def loaded(self, reply: Loaded) -> None:
        """The handlers are imported: declare them to the core once, then fork."""
        if self.is_draining:
            return
        inherit(reply, self.plan.defaults)
        if self.handlers is not None and not _same(reply, self.handlers):
            self._changed_on_disk()
            return
        if self.handlers is None and not self._declare(reply):
            return
        self._clear_timer()
        self.load_error = None
        self._teller.publish("handlers_loaded", pid=self.zygote_pid, generation=self.generation)
        self.crew.use(self._keeper.zygote)

    def load_failed(self, reply: LoadFailed) -> None:
        """The handlers cannot be used; another zygote tries again, slowly."""
        if self._fails(reply) or self.is_draining:
            return
        if reply != self.load_error:
            self._teller.say(Level.ERROR, reply.error)
            if reply.detail:
                self._teller.say(Level.INFO, reply.detail.rstrip())
        self.load_error = reply
        self.crew.use(None)
        self._keeper.quit()
        self._judge()

    def forked(self, worker: int, pid: int) -> None:
        """A worker process exists."""
        self.crew.forked(worker, pid)

    def fork_failed(self, worker: int, error: str) -> None:
        """A worker could not be forked."""
        self.crew.fork_failed(worker, error)

    def zygote_lost(self, how: Exit, unanswered: list[int], was_loaded: bool) -> None:
        """The zygote has died; its workers live on."""
        self.crew.use(None)
        for worker in unanswered:
            self.crew.fork_lost(worker)
        if not self.is_draining and self.load_error is None:
            if was_loaded:
                self._teller.say(Level.WARNING, f"the zygote {how}; its workers live on")
            else:
                self.load_failed(LoadFailed(error=f"the process that imports the handlers {how}"))
        if self.is_draining:
            self._look()

    # -- what the crew says

    def crew_works(self) -> None:
        """A worker became ready, or has proved itself."""
        if self._trial is not None:
            if self.state is PoolState.STARTING and self.crew.ready_count == self.crew.size:
                self.life.leave(Reason.WARM)
                self._trial.is_warm(self)
        elif self.state is PoolState.STARTING:
            self.life.leave(Reason.CAME_UP)
        elif self.state is PoolState.DEGRADED and not self.crew.is_broken:
            self.life.leave(Reason.RECOVERED)
            self.why = None
            self._teller.say(Level.INFO, "the pool has recovered")
            self._teller.publish("pool_recovered")
        if self.state in (PoolState.READY, PoolState.PAUSED) and not self.crew.is_broken:
            self.crew.recover()
        self._hold_back()
        self._around.changed()

    def crew_broke(self, reason: Reason) -> None:
        """A breaker opened."""
        why = f"{reason.value}; the last one: {self.crew.last_words}" if self.crew.last_words else reason.value
        if not self._fails(LoadFailed(error=why)):
            self._degrade(reason, why)

    def crew_failed(self, error: str) -> None:
        """A worker cannot start. Where workers import for themselves, that may be because the files have changed."""
        handlers = self.handlers
        if self._fails(LoadFailed(error=error)) or handlers is None or handlers.preload or self.is_draining:
            return
        if fingerprint(handlers.files) != handlers.fingerprint:
            self._around.renew(self.plan.name, _CHANGED)

    def crew_changed(self) -> None:
        """A worker is gone."""
        if self.crew.restarts >= START_FAILURES:
            self._fails(LoadFailed(error=f"its workers die: {self.crew.last_words}"))
        self._judge()
        self._look()

    # -- inside

    def _fails(self, error: LoadFailed) -> bool:
        """Tell a trial of a failure; whether there is one."""
        if self._trial is None:
            return False
        self._trial.has_failed(self, error)
        return True

    def _declare(self, reply: Loaded) -> bool:
        try:
            claim_types(self._claims, self.plan.name, reply.handlers)
            spec = pool_spec(self.plan.name, self.generation, reply, standby=self._trial is not None)
            self.pool_id = self._around.core.declare_pool(spec)
        except ValueError as error:
            self.load_failed(LoadFailed(error=str(error)))
            return False
        self.handlers = reply
        for note in reply.notes:
            self._teller.say(Level.INFO, note)
        self._hold_back()
        self.crew.hire(self.pool_id, None if self._trial is None else _START_BESIDE)
        return True

    def _changed_on_disk(self) -> None:
        """Workers of one generation run the same code: a new generation has to take over, or this one goes on."""
        error = LoadFailed(error="the handlers have changed on disk, so dead workers cannot be replaced by equal ones")
        if self._fails(error):
            return
        if error != self.load_error:
            self._teller.say(Level.WARNING, f"{error.error}; the pool is reloaded")
        self.load_error = error
        self.crew.use(None)
        self._keeper.quit()
        self._judge()
        self._around.renew(self.plan.name, _CHANGED)

    def _leave(self, reason: Reason) -> bool:
        if self.is_draining:
            return False
        self._clear_timer()
        self._trial = None
        self.life.leave(reason)
        self.crew.drain(reason)
        self._keeper.dismiss()
        self._look()
        return True

    def _look(self) -> None:
        """Whether the last process has left."""
        if self.state is PoolState.DRAINING and self.is_gone:
            self._departure.over()
            self._teller.publish("pool_drained", generation=self.generation)
            self.life.leave(Reason.EMPTY)
        self._around.changed()

    def _load_overdue(self) -> None:
        self._fails(LoadFailed(error=f"its handlers are not imported within {self.plan.start_timeout_s:g} s"))

    def _judge(self) -> None:
        """Without handlers to fork from, a pool is as good as the workers that it still has."""
        if self.load_error is not None and not self.crew.has_ready and not self.is_draining:
            self._degrade(Reason.LOAD_FAILED, self.load_error.error)
        self._hold_back()

    def _degrade(self, reason: Reason, why: str) -> None:
        self.why = why
        if self.life.leave(reason):
            self._teller.say(Level.ERROR, f"the pool is degraded, and goes on trying slowly: {why}")
            self._teller.publish("pool_degraded", reason=why)
        self._hold_back()
        self._around.changed()

    def _hold_back(self) -> None:
        """Let the core activate for this pool, or not."""
        why = None
        if self.state is PoolState.PAUSED:
            why = f"pool {self.plan.name} is paused"
        elif self.state is PoolState.DEGRADED and not self.crew.has_ready:
            why = f"pool {self.plan.name} is degraded"
        if self.pool_id is not None and not self.is_draining and why != self._held_back:
            self._held_back = why
            self._around.core.pause_pool(self.pool_id, why)

    def _tell(self, event: str) -> None:
        self._hold_back()
        self._teller.publish(event, state=self.state.value, processes=self.crew.size)
        self._around.changed()

    def _clear_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _same(one: Loaded, other: Loaded) -> bool:
    """Whether workers forked from either run the same code."""
    return (one.handlers, one.lanes, one.fingerprint) == (other.handlers, other.lanes, other.fingerprint)
