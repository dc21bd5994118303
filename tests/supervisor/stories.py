"""Lives told in words: each word is something that happens to a worker, a pool or a fleet, done to the real objects."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from jobfleet.auth.make import Credentials
from jobfleet.config.engine_url import EngineAddress
from jobfleet.config.load import Loaded as LoadedSettings
from jobfleet.config.model import PoolPlan, Settings
from jobfleet.supervisor.fleet import Fleet, Setup
from jobfleet.supervisor.lifecycle import LifeCycle, Reason, WorkerState
from jobfleet.supervisor.messages import Loaded, LoadFailed
from jobfleet.supervisor.notify import Notifier
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.reaper import Exit
from jobfleet.supervisor.restart import DEATHS_WORKING
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.worker import Worker

from .fake_core import ListLog, Stage

Transition = tuple[Any, Reason]

PLAN = PoolPlan(name="mail", handlers=["mail.py"], processes=1, slots=None, preload=True, start_timeout_s=60.0)
LOADED = Loaded(handlers=[], lanes=[("main", 1)])


class FakeForker:
    """A zygote that forks whatever it is asked for, in words."""

    can_fork = True

    def fork(self, worker: int, index: int, fds: tuple[int, int, int]) -> None:
        """Take the descriptors, as a zygote does."""
        for fd in fds:
            os.close(fd)


class FakeReaper:
    """Hands out children that die when the story says so."""

    def __init__(self) -> None:
        self.on_exit: dict[int, Callable[[Exit], None]] = {}

    def watch(self, pid: int, on_exit: Callable[[Exit], None]) -> Any:
        """A child."""
        self.on_exit[pid] = on_exit
        return FakeChild(pid)

    def expect(self, count: int) -> None:
        """Nothing is expected."""

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""


class FakeChild:
    """A process that nobody has to kill."""

    def __init__(self, pid: int) -> None:
        self.pid = pid

    def kill(self) -> None:
        """It dies when the story says so."""


class FakeTrial:
    """Abandons what fails, as a reload does."""

    def is_warm(self, pool: Pool) -> None:
        """The story says when it is switched to."""

    def has_failed(self, pool: Pool, error: LoadFailed) -> None:
        """Let it go."""
        pool.abandon()


class PoolStory:
    """A pool with one worker."""

    def __init__(self, trial: bool = False) -> None:
        self.stage = Stage("unused", {})
        self.stage.reaper.stop()
        self.reaper = FakeReaper()
        around = msgspec.structs.replace(self.stage.around, reaper=self.reaper)
        self.pool = Pool(PLAN, around, trial=FakeTrial() if trial else None)
        self.last: Worker | None = None

    def tell(self, words: str) -> None:
        """Let it all happen, one word after the other."""
        for word in words.split():
            getattr(self, word)()

    def close(self) -> None:
        """Give back what is left."""
        self.pool.close()
        self.stage.core.stop()

    # -- the zygote

    def loaded(self) -> None:
        self.pool.loaded(LOADED)
        self.pool.crew.use(FakeForker())
        self._note()

    def load_failed(self) -> None:
        self.pool.load_failed(LoadFailed(error="no"))

    def forked(self) -> None:
        self._note()
        worker = self._worker()
        self.pool.forked(worker.id, 100_000 + worker.id)

    def fork_failed(self) -> None:
        self.pool.fork_failed(self._worker().id, "no memory")

    def fork_lost(self) -> None:
        worker = self._worker()
        self.pool.crew.use(None)
        self.pool.crew.fork_lost(worker.id)

    # -- the worker

    def ready(self) -> None:
        self.pool.crew.ready(self._worker())

    def start_failed(self) -> None:
        self.pool.crew.start_failed(self._worker(), "no database")

    def overdue(self) -> None:
        self.pool.crew._start_overdue(self._worker())

    def hard_limit(self) -> None:
        self._worker().stop(Reason.OVERDUE)

    def hangs(self) -> None:
        self._worker().stop(Reason.HUNG)

    def stalls(self) -> None:
        self._worker().stop(Reason.GIL_STALLED)

    def is_stopped(self) -> None:
        self._worker().stop(Reason.STOPPED)

    def broken(self) -> None:
        self.pool.crew.broken(self._worker(), "no frame")

    def leaves(self) -> None:
        self._exits(Exit(0, None))

    def dies(self) -> None:
        self._exits(Exit(None, 9))

    def dies_often(self) -> None:
        """Until a breaker opens."""
        while not self.pool.crew.is_broken:
            self._revive()
            self.dies()

    def works_and_dies_often(self) -> None:
        while not self.pool.crew.is_broken:
            self._revive()
            if self._worker().state is WorkerState.STARTING:
                self.ready()
            self.dies()

    def works_and_nearly_dies_too_often(self) -> None:
        """One death before a breaker opens; the replacement is starting."""
        for _ in range(DEATHS_WORKING - 1):
            self.comes_back()
            self.dies()
        self._revive()

    def comes_back(self) -> None:
        self._revive()
        self.ready()

    # -- the user

    def drain(self) -> None:
        self.pool.drain()

    def retire(self) -> None:
        self.pool.retire(Reason.RETIRED, 60)

    def abandon(self) -> None:
        self.pool.abandon()

    def switched(self) -> None:
        self.pool.switched(None)

    def pause(self) -> None:
        self.pool.pause()

    def resume(self) -> None:
        self.pool.resume()

    def grow(self) -> None:
        """The second worker is the one that the story goes on with."""
        self.pool.scale(2, 60)
        self.last = None
        self._note()

    def recycle(self) -> None:
        """The story goes on with the worker that is to be replaced."""
        self.pool.recycle(self._worker(), "it is old", has_memory=False)

    def recycle_beside(self) -> None:
        """The same, with a replacement that starts first."""
        self.pool.recycle(self._worker(), "it is old", has_memory=True)

    def next(self) -> None:
        """The story goes on with the newest worker."""
        self._note()

    def shrink(self) -> None:
        self.pool.scale(1, 60)

    def grace_over(self) -> None:
        self.pool.stop(Reason.GRACE_OVER)

    def second_signal(self) -> None:
        self.pool.stop(Reason.SECOND_SIGNAL)

    # -- inside

    def _worker(self) -> Worker:
        assert self.last is not None
        return self.last

    def _note(self) -> None:
        self.last = max(self.pool.crew.workers.values(), key=lambda worker: worker.id, default=self.last)

    def _revive(self) -> None:
        """A replacement that waits for its time comes now."""
        vacancies = self.pool.crew._vacancies
        for index, timer in list(vacancies._timers.items()):
            timer.cancel()
            vacancies.want(index)
        self._note()
        if self._worker().child is None:
            self.forked()

    def _exits(self, how: Exit) -> None:
        worker = self._worker()
        assert worker.pid is not None
        self.reaper.on_exit.pop(worker.pid)(how)


class FleetStory:
    """A fleet of one pool."""

    def __init__(self) -> None:
        self.stage = Stage("unused", {})
        self.stage.reaper.stop()
        self.log = ListLog()
        setup = Setup(
            settings=Settings(),
            plans=[PLAN],
            engine=EngineAddress("camunda", "http://127.0.0.1:1", None),
            credentials=Credentials("none"),
            core=self.stage.core,
            log=self.log,
            notifier=Notifier({}),
            spawn=_no_process,
            socket_path=Path("socket"),
            settings_files=[],
            reread=_no_settings,
        )
        self.fleet = Fleet(setup)
        self.pool = next(iter(self.fleet.pools))

    def tell(self, words: str) -> None:
        """Let it all happen, one word after the other."""
        for word in words.split():
            getattr(self, word)()

    def close(self) -> None:
        """Give back what is left."""
        self.stage.core.stop()

    def load_failed(self) -> None:
        self.pool.load_failed(LoadFailed(error="no"))

    def works(self) -> None:
        self.pool.crew_works()

    def core_failed(self) -> None:
        self.fleet.events._failed("it panicked")

    def term(self) -> None:
        self.fleet.request_stop("SIGTERM")

    def drained(self) -> None:
        self.fleet.drain.core_drained()

    def grace_over(self) -> None:
        self.fleet.drain._grace_over(30)
        self.fleet.drain._finish()

    def term_again(self) -> None:
        self.fleet.drain.force("SIGTERM")
        self.fleet.drain._finish()


def _no_process() -> Spawned:
    raise OSError("no process in a story")


def _no_settings() -> tuple[LoadedSettings, list[PoolPlan]]:
    raise AssertionError("no settings in a story")


def trace(monkeypatch: pytest.MonkeyPatch) -> set[Transition]:
    """Every transition that happens from now on."""
    seen: set[Transition] = set()
    leave = LifeCycle.leave

    def traced(self: LifeCycle[Any], reason: Reason) -> bool:
        seen.add((self.state, reason))
        return leave(self, reason)

    monkeypatch.setattr(LifeCycle, "leave", traced)
    return seen


def play(story: Callable[[], Any], words: str) -> Any:
    """Tell a story on a loop of its own; the story, at its end."""

    async def run() -> Any:
        told = story()
        try:
            told.tell(words)
            return told
        finally:
            told.close()

    return asyncio.run(run())


def missing(table: Mapping[Transition, Any], seen: set[Transition]) -> list[str]:
    """The transitions of a table that did not happen."""
    return sorted(f"{state.value}: {reason.name}" for state, reason in table.keys() - seen)
