"""The seed that zygotes are forked from, as the supervisor keeps it."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import psutil
import pytest
from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.lifecycle import PoolState, Reason
from jobfleet.supervisor.loading import send_load
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.process import become_subreaper
from jobfleet.supervisor.seed import Seed

from .fake_core import Stage
from .running import RunningFleet

Play = Callable[[Stage, Pool, Seed], Awaitable[None]]
Act = Callable[[Play], None]
RunFleet = Callable[..., RunningFleet]

HANDLERS = """
from jobfleet import handler

@handler("noop")
def noop(job):
    pass
"""


@pytest.fixture
def act(tmp_path: Path) -> Act:
    """Play a scenario with a seed, and a pool that has not begun."""
    become_subreaper()
    (tmp_path / "handlers.py").write_text(HANDLERS)
    plan = PoolPlan(
        name="mail",
        handlers=[str(tmp_path / "handlers.py")],
        processes=1,
        slots=None,
        preload=True,
        start_timeout_s=60.0,
    )

    def run(play: Play) -> None:
        async def scene() -> None:
            stage = Stage("unused", {})
            seed = Seed(os.environ)
            seed.attach(asyncio.get_running_loop(), stage.log, stage.reaper)
            pool = Pool(plan, msgspec.structs.replace(stage.around, spawn=seed.spawn))
            try:
                await play(stage, pool, seed)
            finally:
                if not pool.is_draining:
                    pool.drain()
                pool.stop(Reason.SECOND_SIGNAL)
                await stage.until(lambda: pool.is_gone)
                seed.kill()
                seed.close()
                stage.close()

        asyncio.run(scene())

    return run


def begin(pool: Pool, seed: Seed) -> None:
    """Have a zygote forked that loads the handlers."""
    spawned = seed.spawn()
    send_load(spawned, pool.plan)
    pool.start(spawned)


def signal_seed(seed: Seed, number: signal.Signals) -> None:
    """Send the present one a signal."""
    assert seed.pid is not None
    os.kill(seed.pid, number)


def test_zygotes_of_one_seed_after_the_other_load_handlers(act: Act) -> None:
    async def play(stage: Stage, pool: Pool, seed: Seed) -> None:
        begin(pool, seed)
        await stage.until(lambda: pool.handlers is not None)
        assert pool.zygote_pid not in (None, seed.pid)
        signal_seed(seed, signal.SIGKILL)
        await stage.until(lambda: any("the next zygote starts another one" in line for line in stage.log.lines))
        assert pool.zygote_pid is not None
        os.kill(pool.zygote_pid, signal.SIGKILL)
        before = pool.zygote_pid
        await stage.until(lambda: pool.zygote_pid not in (None, before) and pool.crew.workers)

    act(play)


def test_seed_that_does_not_fork_is_killed_and_the_next_one_does(act: Act, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobfleet.supervisor.zygote._BIRTH_S", 0.1)

    async def play(stage: Stage, pool: Pool, seed: Seed) -> None:
        signal_seed(seed, signal.SIGSTOP)
        begin(pool, seed)
        await stage.until(lambda: any("was not forked within 0.1 s" in line for line in stage.log.lines))
        monkeypatch.setattr("jobfleet.supervisor.zygote._BIRTH_S", 60.0)
        await stage.until(lambda: pool.handlers is not None)

    act(play)


def test_zygote_that_is_let_go_before_it_is_forked_is_waited_for(act: Act) -> None:
    async def play(stage: Stage, pool: Pool, seed: Seed) -> None:
        signal_seed(seed, signal.SIGSTOP)
        begin(pool, seed)
        pool.drain()
        assert (pool.state, pool.is_gone, pool.zygote_pid) == (PoolState.DRAINING, False, None)
        signal_seed(seed, signal.SIGCONT)
        await stage.until(lambda: pool.state is PoolState.DRAINED)
        assert seed.pid is not None
        assert psutil.pid_exists(seed.pid)

    act(play)


def test_handlers_find_what_was_installed_since(act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packages = tmp_path / "site-packages"
    packages.mkdir()
    monkeypatch.syspath_prepend(str(packages))

    async def play(stage: Stage, pool: Pool, seed: Seed) -> None:
        first = seed.pid
        begin(pool, seed)
        (packages / "added.py").touch()
        seed.spawn().close()
        assert seed.pid != first
        # What was asked of the one before is done all the same.
        await stage.until(lambda: pool.handlers is not None)

    act(play)


def test_reload_of_a_fleet_whose_seed_has_died_succeeds(run_fleet: RunFleet) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "1").wait_running()
    known = {fleet.status()["pools"][0]["zygote_pid"], *fleet.worker_pids()}
    (seed,) = {child.pid for child in psutil.Process(fleet.process.pid).children()} - known
    os.kill(seed, signal.SIGKILL)
    fleet.wait_for_line("the next zygote starts another one")
    assert fleet.reload()["state"] == "done"
