"""The fleet: takes what the core and the signals tell, and answers for all pools."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

import msgspec

from jobfleet.auth.keeper import Keeper
from jobfleet.auth.make import Credentials
from jobfleet.config.engine_url import EngineAddress
from jobfleet.config.load import Loaded as LoadedSettings
from jobfleet.config.model import PoolPlan, Settings
from jobfleet.supervisor.changes import Sizes
from jobfleet.supervisor.commands import PoolCommands
from jobfleet.supervisor.core import CoreLike, read_status
from jobfleet.supervisor.drain import Drain
from jobfleet.supervisor.events import CoreEvents
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.filewatch import FileWatch
from jobfleet.supervisor.hangup import EarlyHangup
from jobfleet.supervisor.heartbeat import Heartbeat
from jobfleet.supervisor.hub import Hub
from jobfleet.supervisor.lifecycle import FLEET_TRANSITIONS, FleetState, LifeCycle, PoolState, Reason
from jobfleet.supervisor.log import Log
from jobfleet.supervisor.notify import Notifier
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.pools import Pools
from jobfleet.supervisor.reaper import Reaper
from jobfleet.supervisor.recycle import Recycler
from jobfleet.supervisor.reload import Reloader
from jobfleet.supervisor.reloadorder import ReloadOutcome, ReloadRefused
from jobfleet.supervisor.seed import Seed
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.surroundings import Surroundings

_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)
# The longest that the core lets a poll be held by an engine that would lose a job to one that is abandoned.
_HOLD_S: Final = 3.0
# What a drain may take beyond the grace period: hand-backs and the engine's answers to them.
_AFTER_GRACE_S: Final = 10.0


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What a fleet is made of."""

    settings: Settings
    plans: list[PoolPlan]
    engine: EngineAddress
    credentials: Credentials
    core: CoreLike
    log: Log
    notifier: Notifier
    spawn: Callable[[], Spawned]
    socket_path: Path
    settings_files: Sequence[Path]
    reread: Callable[[], tuple[LoadedSettings, list[PoolPlan]]]
    """Reads the settings anew. Raises `SettingsError`."""
    hangup: EarlyHangup | None = None
    seed: Seed | None = None
    """What `spawn` has its processes from."""


class Fleet:
    """One supervisor. Everything happens on its loop; callbacks only."""

    def __init__(self, setup: Setup) -> None:
        core, log = setup.core, setup.log
        self._loop = asyncio.get_running_loop()
        self.log = log
        self._notifier = setup.notifier
        self._hangup = setup.hangup
        self._seed = setup.seed
        self._stopped = asyncio.Event()
        self._exit_code = ExitCode.OK
        self.settings = setup.settings
        self.engine = setup.engine
        self.socket_path = setup.socket_path
        self.core = core
        self.hub = Hub()
        self.life: LifeCycle[FleetState] = LifeCycle(FLEET_TRANSITIONS, FleetState.STARTING, log.error)
        self.started_at = time.time()
        self.reaper = Reaper(self._loop, log.error)
        self.drain = Drain(core, self, log, self._loop, self._finished)
        around = Surroundings(
            core=core,
            reaper=self.reaper,
            loop=self._loop,
            log=log,
            hub=self.hub,
            spawn=setup.spawn,
            types={},
            renew=self._renew,
            changed=self._pools_changed,
        )
        self.pools = Pools()
        self.pools.current = {plan.name: Pool(plan, around) for plan in setup.plans}
        self.sizes = Sizes()
        self.reloader = Reloader(self, around, log, setup.reread)
        self.commands = PoolCommands(self)
        self.keeper = Keeper(setup.credentials, core.set_authorization, self._tell_credentials)
        self.events = CoreEvents(around, self.pools, self.drain.core_drained, self._core_failed, self.keeper)
        self._watch = FileWatch(self.pools, setup.settings_files, self._loop, self._reload)
        self._recycler = Recycler(self.pools, lambda: read_status(core.status()), self._loop)
        self._told = "running"
        is_stuck = self.events.watchdog.is_stuck
        self._heartbeat = Heartbeat(core, setup.notifier, self.pools, is_stuck, log)

    async def run(self, spawned: list[Spawned]) -> ExitCode:
        """Run until drained. `spawned` are the pools' zygotes, asked to load already."""
        self.reaper.start()
        if self._seed is not None:
            self._seed.attach(self._loop, self.log, self.reaper)
        self._watch_signals()
        self._loop.add_reader(self.core.event_fd, self.events.take)
        self.core.start()
        self._heartbeat.start(self._loop)
        self.keeper.start()
        for pool, zygote in zip(list(self.pools), spawned, strict=True):
            pool.start(zygote)
        try:
            await self._stopped.wait()
        finally:
            self._end()
        return self._exit_code

    @property
    def state(self) -> FleetState:
        """Where it is in its life."""
        return self.life.state

    # -- what may end it

    def request_stop(self, why: str) -> None:
        """Drain and leave. Idempotent."""
        if self.life.state in (FleetState.DRAINING, FleetState.STOPPED):
            return
        self.life.leave(Reason.DRAIN)
        grace_s, hold = self.settings.grace.s, self.settings.engine.hold
        self._notifier.stopping(f"draining: {why}", grace_s + _AFTER_GRACE_S)
        self.hub.publish("fleet_draining", reason=why)
        self._watch.stop()
        self._recycler.stop()
        self.reloader.cancel(f"the fleet is draining: {why}")
        self.drain.begin(why, grace_s, hold.s if hold else min(_HOLD_S, grace_s / 3))

    def drain_pools(self) -> None:
        """Let all workers leave."""
        for pool in list(self.pools):
            pool.drain()

    def stop_pools(self, reason: Reason) -> None:
        """Kill all processes."""
        for pool in list(self.pools):
            pool.stop(reason)

    @property
    def is_gone(self) -> bool:
        """Whether no process is left."""
        return self.pools.is_gone

    # -- signals

    def _watch_signals(self) -> None:
        # Signal handlers of the loop only enqueue; these run in a turn of their own.
        for number in _STOP_SIGNALS:
            self._loop.add_signal_handler(number, self._stop_signal, number)
        self._loop.add_signal_handler(signal.SIGHUP, self._reload_signal)
        if self._hangup is not None and self._hangup.came:
            self._reload_signal()

    def _stop_signal(self, number: signal.Signals) -> None:
        if self.life.state is FleetState.DRAINING:
            self.drain.signal_again(number.name)
        else:
            self.request_stop(number.name)

    def _reload_signal(self) -> None:
        self._reload("SIGHUP")

    def _reload(self, why: str) -> None:
        try:
            self.reloader.request(why)
        except ReloadRefused as refused:
            self.log.warning(f"{why}: {refused}")

    def _renew(self, pool: str, why: str) -> None:
        self.reloader.renew(pool, why)

    def reload_began(self) -> None:
        """Tell systemd that a reload goes on."""
        self._notifier.reloading("reloading")

    def reload_ended(self, outcome: ReloadOutcome) -> None:
        """Tell systemd that it is over, and how."""
        if self.life.state is FleetState.RUNNING:
            self._recycler.start()
            self._told = self._condition()
            told = "reloaded" if outcome.state == "done" else f"reload failed: {outcome.error}"
            self._notifier.ready(f"{told}; {self._told}")

    # -- credentials

    def _tell_credentials(self, level: str, message: str) -> None:
        getattr(self.log, level)(message)
        self.hub.publish("credentials", level=level, message=message)

    # -- pools

    def _pools_changed(self) -> None:
        self.pools.forget_gone()
        if self.life.state is FleetState.STARTING:
            self._judge_start()
        elif self.life.state is FleetState.DRAINING:
            self.drain.look()
        elif self.life.state is FleetState.RUNNING:
            self._tell_manager()

    def _tell_manager(self) -> None:
        """Tell systemd what has changed about how the fleet is."""
        text = self._condition()
        if text != self._told:
            self._told = text
            self._notifier.status(text)

    def _condition(self) -> str:
        odd = (PoolState.DEGRADED, PoolState.PAUSED, PoolState.DRAINING, PoolState.DRAINED)
        pools = [pool for pool in self.pools.current.values() if pool.state in odd]
        engine = ["the engine is down"] if self.events.engine_state == "down" else []
        return "; ".join(["running", *engine, *(f"pool {pool.plan.name} is {pool.state.value}" for pool in pools)])

    def _judge_start(self) -> None:
        pools = list(self.pools.current.values())
        if any(pool.state is PoolState.STARTING for pool in pools):
            return
        if all(pool.life.reason is Reason.LOAD_FAILED for pool in pools):
            # Nothing at all can run: whoever started the fleet is there to read this.
            self.life.leave(Reason.LOAD_FAILED)
            self._finished(Reason.LOAD_FAILED, ExitCode.HANDLERS)
            return
        self.life.leave(Reason.SETTLED)
        workers = sum(pool.plan.processes for pool in pools)
        types = sum(len(pool.handlers.handlers) for pool in pools if pool.handlers)
        summary = f"running {_count(types, 'job type')} in {_count(workers, 'worker process', 'es')}"
        self.log.info(summary, engine=self.engine.url)
        self._notifier.ready(summary)
        self.hub.publish("fleet_running")
        self._tell_manager()
        self.reloader.go_on()
        self._recycler.start()
        if self.settings.watch:
            self._watch.start()

    def _finished(self, reason: Reason, code: ExitCode) -> None:
        if self.life.state is FleetState.DRAINING:
            self.life.leave(reason)
            self.log.info(f"stopped: {reason.value}")
        self._exit_code = code
        self._stopped.set()

    def _core_failed(self, why: str) -> None:
        """Nothing can be done without it: whoever watches over this process starts another one."""
        if self.life.state is FleetState.STOPPED:
            return
        self.log.error(
            f"the fleet ends at once, by a defect of jobfleet: the data path has failed: {why}; "
            "jobs that it held come again when their leases end"
        )
        self.drain.cancel()
        self.life.leave(Reason.CORE_FAILED)
        self._finished(Reason.CORE_FAILED, ExitCode.CORE)

    def _end(self) -> None:
        """Leave no process, no thread and no listener behind."""
        self._recycler.stop()
        self._watch.stop()
        for pool in self.pools:
            pool.close()
        if self._seed is not None:
            self._seed.kill()
            self._seed.close()
        self.keeper.stop()
        self.events.finish()
        with contextlib.suppress(OSError, ValueError):
            self._loop.remove_reader(self.core.event_fd)
        self.hub.publish("fleet_stopped")
        self.hub.close()
        self.reaper.stop()
        self.core.stop()
        self._notifier.close()


def _count(number: int, noun: str, plural: str = "s") -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}{plural}"
