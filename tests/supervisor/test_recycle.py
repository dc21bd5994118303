"""Workers that are worn out are replaced; nothing is lost with them."""

from __future__ import annotations

import os
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobfleet.config.durations import ByteSize, Duration
from jobfleet.config.model import Recycling
from jobfleet.supervisor.lifecycle import WorkerState
from jobfleet.supervisor.recycle import Memory, Wear, worn

from tests.camunda.waiting import wait_until

from .running import DEADLINE_S, RunningFleet
from .stories import PoolStory, play

RULES = Recycling(jobs=1000, age=Duration(3600), growth=ByteSize(100 * 2**20))
FRESH = Wear(0, 0, 0)
COUNTS = """
    import os
    from jobfleet import Job, handler

    @handler("count")
    def count(job: Job) -> None:
        pass
"""


@pytest.mark.parametrize(
    ("wear", "said"),
    [
        (FRESH._replace(jobs=1200), "1200 jobs"),
        (FRESH._replace(age_s=4000), "4000 s old"),
        (FRESH._replace(grown_bytes=120 * 2**20), "grown by 120 MB"),
        (Wear(800, 3000, 80 * 2**20), None),
    ],
)
def test_worker_is_worn_by_jobs_age_or_memory(wear: Wear, said: str | None) -> None:
    why = worn(RULES, wear, 0.5)
    assert why is None if said is None else said in (why or "")


@given(st.integers(0, 10**9), st.floats(0, 10**9), st.integers(0, 10**12), st.floats(0, 1))
def test_nothing_wears_where_no_rule_says_so(jobs: int, age_s: float, grown: int, share: float) -> None:
    assert worn(Recycling(), Wear(jobs, age_s, grown), share) is None


@given(st.floats(0, 1))
def test_jitter_spreads_by_a_tenth_each_way(share: float) -> None:
    assert worn(RULES, FRESH._replace(jobs=899), share) is None
    assert worn(RULES, FRESH._replace(jobs=1101), share) is not None


def test_growth_is_counted_from_the_first_look() -> None:
    memory = Memory()
    pid = os.getpid()
    memory.look({1: pid})
    assert memory.grown(1) == 0
    ballast = bytearray(os.urandom(1)) * (64 * 2**20)
    memory.look({1: pid})
    assert memory.grown(1) > 32 * 2**20
    memory.look({2: pid})
    assert (memory.grown(1), memory.grown(2), len(ballast)) == (0, 0, 64 * 2**20)


@pytest.mark.parametrize(
    ("words", "workers"),
    [
        ("recycle_beside next forked ready", [WorkerState.DRAINING, WorkerState.READY]),
        ("recycle_beside next forked dies", [WorkerState.READY]),
        ("recycle_beside dies", [WorkerState.STARTING]),
        ("recycle", [WorkerState.DRAINING, WorkerState.STARTING]),
        ("recycle_beside recycle_beside", [WorkerState.READY, WorkerState.STARTING]),
    ],
)
def test_worn_worker_and_its_replacement_are_never_too_many_or_too_few(words: str, workers: list[WorkerState]) -> None:
    pool = play(PoolStory, "loaded forked ready " + words).pool
    assert [worker.state for worker in pool.crew] == workers
    assert pool.restarts == 0


def test_worker_that_has_done_its_jobs_is_replaced_and_no_job_is_the_worse_for_it(
    run_fleet: Callable[..., RunningFleet],
) -> None:
    environ = {"JOBFLEET_RECYCLE_JOBS": "50"}
    fleet = run_fleet(COUNTS, "--processes", "1", environ=environ).wait_running()
    first = fleet.worker_pids()[0]
    fleet.push("count", count=300)
    assert "jobs" in fleet.wait_for_line("is recycled")["message"]

    def replaced() -> bool:
        processes = fleet.processes()
        return [process["state"] for process in processes] == ["ready"] and processes[0]["pid"] != first

    wait_until(replaced, "another worker alone", DEADLINE_S)
    fleet.push("count", count=10)

    def done() -> bool:
        return bool(fleet.account()["completed"] == 310)

    wait_until(done, "every job is done", DEADLINE_S)
    assert (fleet.account()["handed_back"], fleet.account()["incidents"]) == (0, 0)
    assert fleet.status()["pools"][0]["restarts"] == 0
