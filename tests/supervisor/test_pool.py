"""A pool with a zygote that follows a script, and a core that only writes down what it is told."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec
import pytest
from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.lifecycle import PoolState, Reason, WorkerState
from jobfleet.supervisor.loading import send_load
from jobfleet.supervisor.messages import Suspicion
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.process import become_subreaper
from jobfleet.supervisor.procstat import read_stat
from jobfleet.supervisor.watchdog import Watchdog
from jobfleet.supervisor.worker import Worker

from .fake_core import Stage

Play = Callable[[Stage, Pool], Awaitable[None]]
Act = Callable[..., None]


@pytest.fixture
def act(tmp_path: Path) -> Act:
    """Play a scenario with a pool of two whose zygote follows `script`."""
    become_subreaper()

    def run(play: Play, script: str = "") -> None:
        async def scene() -> None:
            environ = {**os.environ, "ZYGOTE_SCRIPT": script, "MENDED": str(tmp_path / "mended")}
            stage = Stage("tests.supervisor.scripted_zygote", environ)
            plan = PoolPlan(
                name="mail",
                handlers=["mail.py"],
                processes=2,
                slots=None,
                preload=True,
                start_timeout_s=60.0,
            )
            pool = Pool(plan, stage.around)
            spawned = stage.spawn()
            send_load(spawned, plan)
            pool.start(spawned)
            try:
                await play(stage, pool)
            finally:
                if not pool.is_draining:
                    pool.drain()
                pool.stop(Reason.SECOND_SIGNAL)
                await stage.until(lambda: pool.is_gone)
                stage.close()

        before = descriptors()
        asyncio.run(scene())
        # What an earlier test left may close meanwhile.
        assert descriptors() <= before

    return run


def descriptors() -> set[str]:
    """What this process has open, without the descriptor of the look itself."""
    return {
        os.readlink(f"/proc/self/fd/{fd}")
        for fd in os.listdir("/proc/self/fd")
        if os.path.exists(f"/proc/self/fd/{fd}")
    }


async def staffed(stage: Stage, pool: Pool) -> None:
    """Both workers are forked and ready."""
    await stage.until(lambda: len([worker for worker in pool.crew if worker.pid]) == 2)
    for worker in pool.crew:
        if worker.state is WorkerState.STARTING:
            pool.crew.ready(worker)


def test_handlers_are_declared_once_and_every_index_is_forked(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        assert stage.core.declared == [
            {
                "name": "mail",
                "generation": 1,
                "lanes": [["main", 1]],
                "types": [
                    {
                        "type": "noop",
                        "lane": 0,
                        "slots": 1,
                        "lease_ms": 1000,
                        "fetch": None,
                        "time_limit_ms": None,
                        "hard_time_limit_ms": None,
                        "tenants": [],
                        "tenant_filter": "provided",
                        "hold_ms": None,
                        "max_jobs": None,
                        "renew": True,
                    }
                ],
                "standby": False,
            }
        ]
        assert [worker.index for worker in pool.crew] == [0, 1]
        assert stage.core.named("add_worker") == [("add_worker", 41)] * 2
        assert pool.life.state is PoolState.READY
        assert "info pool mail a note" in stage.log.lines

    act(play)


def test_dead_worker_is_told_to_the_core_and_replaced_on_the_same_index(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        victim = next(iter(pool.crew))
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        await stage.until(lambda: len([worker for worker in pool.crew if worker.pid and worker is not victim]) == 2)
        reason = f"worker process {victim.pid} was killed by signal 9 (SIGKILL)"
        assert stage.core.named("worker_dead") == [("worker_dead", victim.id, reason)]
        assert [(worker.index, worker.restarts) for worker in pool.crew] == [(0, 1), (1, 0)]
        assert victim.state is WorkerState.DEAD

    act(play)


def test_worker_that_had_done_many_jobs_is_replaced_at_once_each_time(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        seen: set[int] = set()
        for _ in range(6):
            await stage.until(lambda: len([worker for worker in pool.crew if worker.pid and worker.id not in seen]) > 0)
            await staffed(stage, pool)
            victim = next(iter(pool.crew))
            seen.add(victim.id)
            stage.core.counts["workers"] = [{"worker": victim.id, "pool_id": 41, "state": "ready", "jobs": 5000}]
            assert victim.pid is not None
            os.kill(victim.pid, signal.SIGKILL)
            await stage.until(lambda gone=victim: gone.state is WorkerState.DEAD)
            # Asked for in the same turn of the loop in which the death was heard of.
            assert [worker.index for worker in pool.crew] == [0, 1]

    act(play)


def test_workers_live_on_when_their_zygote_dies_and_another_one_forks_replacements(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        pids = {worker.pid for worker in pool.crew}
        first = pool.zygote_pid
        assert first is not None
        os.kill(first, signal.SIGKILL)
        await stage.until(lambda: pool.zygote_pid not in (None, first))
        assert {worker.pid for worker in pool.crew} == pids
        assert stage.core.named("worker_dead") == []
        victim = next(iter(pool.crew))
        assert victim.pid is not None
        os.kill(victim.pid, signal.SIGKILL)
        await stage.until(lambda: len([worker for worker in pool.crew if worker.pid and worker is not victim]) == 2)
        assert len(stage.core.declared) == 1

    act(play)


def test_worker_whose_zygote_dies_before_the_fork_is_asked_for_again(act: Act, tmp_path: Path) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: any("its zygote died" in call[-1] for call in stage.core.named("worker_dead")))
        (tmp_path / "mended").touch()
        await staffed(stage, pool)
        assert pool.crew.restarts == 0

    act(play, "dies-at-second-fork")


def test_zygote_that_does_not_answer_is_killed_and_the_next_one_forks(
    act: Act, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobfleet.supervisor.zygote._FORK_S", 0.1)

    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: any("has not answered for 0.1 s" in line for line in stage.log.lines))
        # The next one may take as long as a busy host needs.
        monkeypatch.setattr("jobfleet.supervisor.zygote._FORK_S", 30.0)
        (tmp_path / "mended").touch()
        await staffed(stage, pool)

    act(play, "stops-at-second-fork")


def test_answers_of_a_zygote_that_died_since_still_count(act: Act, tmp_path: Path) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: len(stage.core.named("add_worker")) == 2)
        assert pool.zygote_pid is not None
        (tmp_path / "mended").touch()
        # The loop reads nothing until the zygote is dead, and then hears of its death first.
        os.waitid(os.P_PID, pool.zygote_pid, os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222
        stage.reaper.sweep()
        assert len([worker for worker in pool.crew if worker.pid]) == 2
        assert stage.core.named("worker_dead") == []

    act(play, "dies-after-fork")


def test_fork_that_fails_is_a_death_before_the_start(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        assert pool.crew.restarts == 1
        assert stage.core.named("worker_dead") == [("worker_dead", 1, "could not be forked: no memory")]

    act(play, "fork-fails-once")


def test_worker_without_descriptors_is_tried_again_and_nothing_leaks(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        stage.core.refusals = [OSError(errno.EMFILE, "Too many open files")] * 2
        await staffed(stage, pool)
        assert pool.crew.restarts == 2
        assert [line for line in stage.log.lines if "gets no descriptors" in line]

    act(play)


def test_worker_that_is_never_ready_is_killed_and_says_why(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        # For its workers alone: the zygote may take as long as a busy host needs.
        pool.crew._plan = msgspec.structs.replace(pool.plan, start_timeout_s=0.2)
        await stage.until(lambda: len(stage.core.named("worker_dead")) >= 2)
        assert any("not ready within 0.2 s" in line for line in stage.log.lines)

    act(play)


def test_worker_that_sends_rubbish_is_killed_and_replaced(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        victim = next(iter(pool.crew))
        pool.crew.broken(victim, "a frame of 4 GB")
        assert victim.state is WorkerState.STOPPING
        await stage.until(lambda: len([worker for worker in pool.crew if worker.pid and worker is not victim]) == 2)
        assert any("a frame of 4 GB" in line for line in stage.log.lines)

    act(play)


def test_pool_whose_workers_die_at_start_is_degraded(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: pool.life.state is PoolState.DEGRADED)
        assert pool.life.reason is Reason.NEVER_READY
        assert any("exited with status 7" in line for line in stage.log.lines)

    act(play, "workers-exit")


def test_pool_that_does_not_load_is_degraded_tells_once_and_recovers(act: Act, tmp_path: Path) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: pool.life.state is PoolState.DEGRADED)
        first = pool.zygote_pid
        await stage.until(lambda: pool.zygote_pid not in (None, first))
        await stage.until(lambda: pool.zygote_pid is None)
        (tmp_path / "mended").touch()
        await staffed(stage, pool)
        assert pool.life.state is PoolState.READY
        assert len([line for line in stage.log.lines if line == "error pool mail handlers.py:1: no"]) == 1

    act(play, "load-failed")


def test_zygote_that_crashes_while_it_imports_is_a_load_that_failed(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: pool.life.state is PoolState.DEGRADED)
        assert pool.load_error is not None
        assert "killed by signal 11 (SIGSEGV)" in pool.load_error.error

    act(play, "crash-at-load")


def test_zygote_that_talks_rubbish_is_killed(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await stage.until(lambda: pool.life.state is PoolState.DEGRADED)
        assert any("sent what is no reply" in line for line in stage.log.lines)

    act(play, "rubbish")


def test_handlers_that_changed_on_disk_are_not_mixed_with_the_old_ones(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        assert pool.zygote_pid is not None
        os.kill(pool.zygote_pid, signal.SIGKILL)
        await stage.until(lambda: pool.load_error is not None)
        assert pool.load_error is not None
        assert "changed on disk" in pool.load_error.error
        assert stage.renewed == ["mail"]
        assert pool.life.state is PoolState.READY
        for worker in list(pool.crew):
            assert worker.pid is not None
            os.kill(worker.pid, signal.SIGKILL)
        await stage.until(lambda: pool.life.state is PoolState.DEGRADED)

    act(play, "changes")


def test_draining_worker_that_leaves_is_not_replaced(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        workers = list(pool.crew)
        pool.drain()
        await stage.until(lambda: pool.is_gone)
        assert stage.core.named("drain_worker") == [("drain_worker", 1), ("drain_worker", 2)]
        assert [worker.life.reason for worker in workers] == [Reason.LEFT, Reason.LEFT]
        assert pool.crew.restarts == 0

    act(play)


def test_output_of_a_worker_is_attributed_to_its_pool_and_pid(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        pids = {worker.pid for worker in pool.crew}
        pool.drain()
        await stage.until(lambda: pool.is_gone)
        wanted = {f"info mail/{pid} born" for pid in pids}
        await stage.until(lambda: {line for line in stage.log.lines if line.endswith("born")} == wanted)

    act(play)


def test_stopped_worker_is_shunned_until_it_moves_again(act: Act) -> None:
    async def play(stage: Stage, pool: Pool) -> None:
        await staffed(stage, pool)
        worker = next(iter(pool.crew))
        assert worker.pid is not None
        watchdog = Watchdog(stage.around, lambda _: (pool, worker))
        for number, is_stopped in ((signal.SIGSTOP, True), (signal.SIGCONT, False)):
            os.kill(worker.pid, number)
            await stage.until(lambda wanted=is_stopped: (state_of(worker) == "T") is wanted)
            watchdog.look([Suspicion(worker=worker.id, quiet_ms=2000)])
            assert stage.core.calls[-1] == ("shun_worker", worker.id, is_stopped)

    act(play)


def state_of(worker: Worker) -> str | None:
    """The letter that the system shows for a process."""
    stat = read_stat(worker.pid or 0)
    return stat and stat.state
