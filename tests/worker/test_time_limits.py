"""Time limits in a real worker: they hit the job that they are for, or nobody."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .fleet import Worker

StartWorker = Callable[..., Worker]

HANDLERS = """
    import asyncio, time
    from jobfleet import Job, handler

    @handler("main", time_limit="1h")
    def main(job: Job) -> dict:
        sum(range(job.variables["turns"]))
        return {}

    @handler("thread", slots=2, time_limit="1h")
    def thread(job: Job) -> dict:
        sum(range(job.variables["turns"]))
        return {}

    @handler("task", time_limit="1h")
    async def task(job: Job) -> dict:
        for _ in range(3):
            await asyncio.sleep(0)
        return {}

    @handler("swallows", slots=1, time_limit="1h")
    def swallows(job: Job) -> dict:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            try:
                time.sleep(60)
            except Exception as told:
                return {"told": str(told)}
        return {}
"""

MAIN, THREAD, TASK, SWALLOWS = range(4)


@pytest.mark.parametrize(("kind", "lane"), [(MAIN, 0), (THREAD, 1), (TASK, 2)])
def test_limits_that_come_as_jobs_end_cost_no_other_job_its_outcome(worker: StartWorker, kind: int, lane: int) -> None:
    started = worker(HANDLERS)
    core = started.core
    jobs = []
    for number in range(400):
        job = core.give(kind, lane=lane, variables={"turns": number * 20})
        core.limit(job, 1500)
        jobs.append(job)
    kinds = {core.outcome(job).kind for job in jobs}
    assert kinds <= {"complete", "fail", "hand_back"}
    for job in jobs:
        outcome = core.outcome(job)
        if outcome.kind == "fail":
            assert outcome.message is not None
            assert outcome.message.startswith("TimeLimitExceeded: the handler ran longer than its time limit of 1.5 s")
    core.drain()
    assert started.exit_status() == 0


def test_sleeping_main_thread_is_woken_by_its_limit(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    job = core.give(SWALLOWS, variables={})
    core.give(THREAD, lane=1, variables={"turns": 1})
    # Sent again until it hits: the first ones may come before the handler runs.
    while job not in core.outcomes:
        core.limit(job, 2000)
        core.outcome(core.give(THREAD, lane=1, variables={"turns": 1}))
    assert core.outcome(job).variables == {"told": "the handler ran longer than its time limit of 2 s"}


def test_limit_of_a_job_that_has_ended_is_for_nobody(worker: StartWorker) -> None:
    core = worker(HANDLERS).core
    first = core.give(MAIN, variables={"turns": 1})
    assert core.outcome(first).kind == "complete"
    core.limit(first, 1500)
    assert core.outcome(core.give(MAIN, variables={"turns": 10_000_000})).kind == "complete"
