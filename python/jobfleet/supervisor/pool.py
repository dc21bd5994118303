"""One generation of a pool: its handlers, its zygote and its crew of workers."""

from __future__ import annotations

import random
import time
from typing import Final

from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.core import pool_spec
from jobfleet.supervisor.crew import Crew
from jobfleet.supervisor.lifecycle import POOL_TRANSITIONS, LifeCycle, PoolState, Reason
from jobfleet.supervisor.loading import send_load
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.messages import Loaded, LoadFailed
from jobfleet.supervisor.output import Output
from jobfleet.supervisor.reaper import Exit
from jobfleet.supervisor.restart import Backoff
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.surroundings import Surroundings, Teller
from jobfleet.supervisor.zygote import Zygote

# Loading again at once cannot help: a person has to mend the handlers first.
_RELOAD_PAUSE_S: Final = 1.0
# A zygote leaves within milliseconds when its socket ends.
_QUIT_S: Final = 1.0


class Pool:
    """Keeps a zygote for its crew, and says how the pool is. Implements `ZygoteOwner` and `CrewOwner`."""

    def __init__(self, plan: PoolPlan, around: Surroundings, generation: int = 1) -> None:
        self._around = around
        self._teller = Teller(plan.name, around)
        self._backoff = Backoff(random.random)
        self._zygote: Zygote | None = None
        self._zygote_since = 0.0
        self._output: Output | None = None
        self._spec: bytes | None = None
        self.plan = plan
        self.generation = generation
        self.life: LifeCycle[PoolState] = LifeCycle(POOL_TRANSITIONS, PoolState.STARTING, self._teller.defect)
        self.crew = Crew(plan, around, self._teller, self)
        self.handlers: Loaded | None = None
        self.load_error: LoadFailed | None = None

    def start(self, spawned: Spawned) -> None:
        """Begin with a zygote that has been asked to load."""
        self._output = Output(spawned.output_fd, self._around.log, self._around.loop)
        self._output.start(f"{self.plan.name}/zygote")
        self._zygote = Zygote(spawned, self, self._around.loop, self._around.reaper)
        self._zygote_since = time.monotonic()
        self._zygote.start()

    @property
    def is_draining(self) -> bool:
        """Whether it was told to drain."""
        return self.life.state is PoolState.DRAINING

    @property
    def is_gone(self) -> bool:
        """Whether no process of it is left."""
        return not self.crew.workers and self._zygote is None

    @property
    def zygote_pid(self) -> int | None:
        """The process that forks its workers."""
        return self._zygote.pid if self._zygote else None

    def drain(self) -> None:
        """Let every worker finish what it runs and leave."""
        if self.life.leave(Reason.DRAIN):
            self.crew.drain()
            self._dismiss_zygote()

    def stop(self, reason: Reason) -> None:
        """Kill every process. Only after `drain`, so that nothing is replaced."""
        self.crew.stop(reason)
        if self._zygote is not None:
            self._zygote.kill()

    def abandon(self) -> None:
        """Kill every process; nobody waits for their end."""
        self.crew.abandon()
        if self._zygote is not None:
            self._zygote.kill()
            self._zygote.quit()
        if self._output is not None:
            self._output.finish()

    # -- what the zygote says

    def loaded(self, reply: Loaded) -> None:
        """The handlers are imported: declare them to the core once, then fork."""
        spec = pool_spec(self.plan.name, self.generation, reply)
        if self._spec is None:
            try:
                self._claim_types(reply)
                pool_id = self._around.core.declare_pool(spec)
            except ValueError as error:
                self.load_failed(LoadFailed(error=str(error)))
                return
            self._spec, self.handlers = spec, reply
            for note in reply.notes:
                self._teller.say(Level.INFO, note)
            self.crew.hire(pool_id)
        elif spec != self._spec:
            self.load_failed(LoadFailed(error="the handlers have changed on disk; restart the fleet to run them"))
            return
        self.load_error = None
        self._teller.publish("handlers_loaded", pid=self.zygote_pid)
        self.crew.use(self._zygote)

    def load_failed(self, reply: LoadFailed) -> None:
        """The handlers cannot be used; another zygote tries again, slowly."""
        if reply != self.load_error:
            self._teller.say(Level.ERROR, reply.error)
            if reply.detail:
                self._teller.say(Level.INFO, reply.detail.rstrip())
        self.load_error = reply
        self.crew.use(None)
        if self._zygote is not None:
            self._zygote.quit()
        self._judge()

    def forked(self, worker: int, pid: int) -> None:
        """A worker process exists."""
        self.crew.forked(worker, pid)

    def fork_failed(self, worker: int, error: str) -> None:
        """A worker could not be forked."""
        self.crew.fork_failed(worker, error)

    def zygote_misbehaved(self, what: str) -> None:
        """It is being killed; say why."""
        self._teller.say(Level.ERROR, f"the zygote {what}")

    def zygote_died(self, how: Exit, unanswered: list[int]) -> None:
        """Another zygote takes its place; workers live on."""
        was_loaded = self._zygote is not None and self._zygote.is_loaded
        self._zygote = None
        self.crew.use(None)
        if self._output is not None:
            self._output.finish()
            self._output = None
        for worker in unanswered:
            self.crew.fork_lost(worker)
        if self.is_draining:
            self._around.changed()
            return
        if self.load_error is None and not was_loaded:
            self.load_failed(LoadFailed(error=f"the process that imports the handlers {how}"))
        elif self.load_error is None:
            self._teller.say(Level.WARNING, f"the zygote {how}; its workers live on")
        self._teller.publish("zygote_died", reason=str(how))
        pause_s = self._backoff.died(time.monotonic() - self._zygote_since)
        if self.load_error is not None:
            pause_s = max(pause_s, _RELOAD_PAUSE_S)
        self._around.loop.call_later(pause_s, self._replace_zygote)

    # -- what the crew says

    def crew_works(self) -> None:
        """A worker became ready, or has proved itself."""
        if self.life.state is PoolState.STARTING:
            self.life.leave(Reason.CAME_UP)
        elif self.life.state is PoolState.DEGRADED and not self.crew.is_broken:
            self.life.leave(Reason.RECOVERED)
            self._teller.say(Level.INFO, "the pool has recovered")
            self._teller.publish("pool_recovered")
            self.crew.recover()
        self._around.changed()

    def crew_broke(self, reason: Reason) -> None:
        """A breaker opened."""
        self._degrade(reason, reason.value)

    def crew_changed(self) -> None:
        """A worker is gone."""
        self._judge()
        self._around.changed()

    # -- inside

    def _dismiss_zygote(self) -> None:
        """Let it leave; one that still imports does not listen, and one that does not listen is killed."""
        zygote = self._zygote
        if zygote is None:
            return
        zygote.quit()
        if zygote.is_loaded:
            self._around.loop.call_later(_QUIT_S, zygote.kill)
        else:
            zygote.kill()

    def _claim_types(self, reply: Loaded) -> None:
        """Raises `ValueError` for a job type that another pool handles: each would get a part of its jobs."""
        for handler in reply.handlers:
            owner = self._around.types.get(handler.type, self.plan.name)
            if owner != self.plan.name:
                raise ValueError(
                    f"{handler.file}:{handler.line}: job type {handler.type!r} is handled by pool {owner!r} already; "
                    "leave it to one of them"
                )
        self._around.types.update({handler.type: self.plan.name for handler in reply.handlers})

    def _judge(self) -> None:
        """Without handlers to fork from, a pool is as good as the workers that it still has."""
        if self.load_error is not None and not self.crew.has_ready and not self.is_draining:
            self._degrade(Reason.LOAD_FAILED, self.load_error.error)

    def _degrade(self, reason: Reason, why: str) -> None:
        if self.life.leave(reason):
            self._teller.say(Level.ERROR, f"the pool is degraded, and goes on trying slowly: {why}")
            self._teller.publish("pool_degraded", reason=why)
        self._around.changed()

    def _replace_zygote(self) -> None:
        if self.is_draining:
            return
        try:
            spawned = self._around.spawn()
        except OSError as error:
            self._teller.say(Level.ERROR, f"no zygote can be started: {error}")
            self._around.loop.call_later(max(_RELOAD_PAUSE_S, self._backoff.died(0.0)), self._replace_zygote)
            return
        try:
            send_load(spawned, self.plan, self.generation)
        except OSError as error:
            # It is dead already, which its pidfd tells.
            self._teller.say(Level.WARNING, f"the new zygote cannot be reached: {error}")
        self.start(spawned)
