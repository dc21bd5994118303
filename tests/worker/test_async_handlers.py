"""Async and threaded handlers in a real worker."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from .core_end import CoreEnd
from .fleet import Worker, Zygote, wait_for

StartWorker = Callable[..., Worker]

ASYNC = """
    import asyncio
    import contextvars
    import sys
    import threading

    from jobfleet import Job, JobError, handler

    seen = contextvars.ContextVar("seen", default=None)
    gate = {}

    @handler("noop")
    async def noop(job):
        pass

    @handler("where")
    async def where(job):
        before = asyncio.current_task()
        await asyncio.sleep(0)
        return {
            "task": before is not None and before is asyncio.current_task(),
            "main": threading.current_thread() is threading.main_thread(),
        }

    @handler("timeout")
    async def timeout(job):
        try:
            await asyncio.wait_for(asyncio.Event().wait(), 0.01)
        except asyncio.TimeoutError:
            return {"timed_out": True}

    @handler("context")
    async def context(job):
        before = seen.get()
        seen.set(job.variables["x"])
        if job.variables["x"] % 2:
            await asyncio.sleep(0)
        return {"before": before, "after": seen.get()}

    @handler("waits")
    async def waits(job):
        await gate.setdefault("open", asyncio.Event()).wait()
        return {"x": job.variables["x"]}

    @handler("opens")
    async def opens(job):
        gate.setdefault("open", asyncio.Event()).set()

    @handler("raises")
    async def raises(job):
        if job.variables["how"] == "later":
            await asyncio.sleep(0)
        {"exit": sys.exit, "later": sys.exit, "error": error, "cancel": cancel}[job.variables["how"]]()

    def error():
        raise JobError("NO")

    def cancel():
        raise asyncio.CancelledError

    async def bomb():
        sys.exit(3)

    @handler("leaves-a-bomb")
    async def leaves_a_bomb(job):
        gate["bomb"] = asyncio.ensure_future(bomb())

    @handler("forever", slots=2)
    async def forever(job):
        job.log.info("waits")
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as cancelled:
            job.log.info("cancelled", cancelled=job.cancelled)
            raise
"""
TYPES = re.findall(r'@handler\("([^"]+)"', ASYNC)


@pytest.fixture
def core(worker: StartWorker) -> CoreEnd:
    return worker(ASYNC).core


def test_handler_that_never_suspends_completes(core: CoreEnd) -> None:
    jobs = [core.give(0) for _ in range(500)]
    assert {core.outcome(job).kind for job in jobs} == {"complete"}


def test_pure_async_process_runs_its_loop_in_the_main_thread_with_a_task_per_job(core: CoreEnd) -> None:
    assert core.outcome(core.give(1)).variables == {"task": True, "main": True}


def test_timeouts_work(core: CoreEnd) -> None:
    assert core.outcome(core.give(2)).variables == {"timed_out": True}


def test_context_variables_do_not_leak_from_job_to_job(core: CoreEnd) -> None:
    jobs = [core.give(3, variables={"x": n}) for n in range(20)]
    assert [core.outcome(job).variables for job in jobs] == [{"before": None, "after": n} for n in range(20)]


def test_waiting_jobs_do_not_hold_up_others(core: CoreEnd) -> None:
    waiting = [core.give(4, variables={"x": n}) for n in range(10)]
    core.outcome(core.give(0))
    assert not core.outcomes.keys() & set(waiting)
    core.give(5)
    assert [core.outcome(job).variables["x"] for job in waiting] == list(range(10))


@pytest.mark.parametrize(
    ("how", "name"), [("exit", "SystemExit"), ("later", "SystemExit"), ("cancel", "CancelledError")]
)
def test_exit_and_cancellation_fail_the_job_and_not_the_loop(core: CoreEnd, how: str, name: str) -> None:
    outcome = core.outcome(core.give(6, variables={"how": how}))
    assert outcome.kind == "fail"
    assert str(outcome.message).startswith(name)
    assert core.outcome(core.give(0)).kind == "complete"


def test_job_error_is_thrown_from_async_code(core: CoreEnd) -> None:
    assert core.outcome(core.give(6, variables={"how": "error"})).code == "NO"


def test_task_that_a_handler_left_behind_cannot_end_the_worker(worker: StartWorker) -> None:
    started = worker(ASYNC)
    started.core.outcome(started.core.give(7))
    jobs = [started.core.give(1) for _ in range(5)]
    assert {started.core.outcome(job).kind for job in jobs} == {"complete"}
    started.core.drain()
    assert started.exit_status() == 0


def test_cancelled_job_is_cancelled_as_a_task_and_frees_its_slot(core: CoreEnd) -> None:
    jobs = [core.give(8), core.give(8)]
    core.printed("waits")
    core.cancel(jobs[0], "the lease is lost")
    assert core.printed("cancelled").record["cancelled"] is True
    assert core.outcome(jobs[0]).kind == "fail"
    assert jobs[1] not in core.outcomes


def test_drain_waits_for_running_tasks(worker: StartWorker) -> None:
    started = worker(ASYNC)
    job = started.core.give(4, variables={"x": 1})
    started.core.give(5)
    started.core.drain()
    assert started.core.outcome(job).kind == "complete"
    assert started.exit_status() == 0


MIXED = """
    import asyncio
    import threading

    from jobfleet import Job, handler

    together = threading.Barrier(3)

    def thread():
        return {"main": threading.current_thread() is threading.main_thread()}

    @handler("main")
    def main(job):
        return thread()

    @handler("threads", slots=3)
    def threads(job):
        together.wait(45)
        return thread()

    @handler("loop")
    async def loop(job):
        await asyncio.sleep(0)
        return thread()

    @handler("own-loop")
    def own_loop(job):
        return asyncio.run(loop(job))
"""


def test_three_kinds_of_handlers_share_a_process(worker: StartWorker) -> None:
    started = worker(MIXED)
    core = started.core
    threaded = [core.give(1, lane=1) for _ in range(3)]
    assert core.outcome(core.give(0, lane=0)).variables == {"main": True}
    assert core.outcome(core.give(2, lane=2)).variables == {"main": False}
    assert core.outcome(core.give(3, lane=0)).variables == {"main": True}
    assert [core.outcome(job).variables for job in threaded] == [{"main": False}] * 3
    assert sorted(core.outcome(job).slot for job in threaded) == [0, 1, 2]
    core.drain()
    assert started.exit_status() == 0


def test_lanes_and_slots_are_declared_in_their_fixed_order(zygote: Zygote, worker: StartWorker) -> None:
    worker(MIXED, slots=2)
    assert zygote.lanes == [("main", 1), ("threads", 2), ("loop", 2)]


def test_threads_alone_leave_the_main_thread_free(worker: StartWorker) -> None:
    started = worker("""
        import threading
        from jobfleet import handler

        @handler("threads", slots=2)
        def threads(job):
            return {"main": threading.current_thread() is threading.main_thread()}
    """)
    assert started.core.outcome(started.core.give()).variables == {"main": False}
    started.core.drain()
    assert started.exit_status() == 0


def test_sync_handler_sees_that_its_job_is_cancelled(worker: StartWorker) -> None:
    core = worker("""
        import time
        from jobfleet import handler

        @handler("long", slots=2)
        def long(job):
            job.log.info("running")
            while not job.cancelled:
                time.sleep(0.001)
            return {"stopped": True}
    """).core
    job = core.give()
    core.printed("running")
    core.cancel(job, "the lease is lost")
    assert core.outcome(job).variables == {"stopped": True}


def test_wrapped_async_function_runs_on_the_loop_where_its_author_says_so(worker: StartWorker) -> None:
    core = worker("""
        from jobfleet import handler

        async def work(job):
            return {"done": True}

        @handler("wrapped", strategy="loop")
        def wrapped(job):
            return work(job)
    """).core
    assert core.outcome(core.give()).variables == {"done": True}


def test_handler_that_cancels_every_task_costs_no_job(worker: StartWorker) -> None:
    started = worker("""
        import asyncio
        from jobfleet import handler

        @handler("waits")
        async def waits(job):
            await asyncio.Event().wait()

        @handler("cancels")
        async def cancels(job):
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()
    """)
    victims = [started.core.give(0) for _ in range(3)]
    cancels = started.core.give(1)
    victims += [started.core.give(0) for _ in range(3)]
    assert started.core.outcome(cancels).kind == "complete"
    assert started.core.outcome(started.core.give(1)).kind == "complete"
    assert [started.core.outcome(job).kind for job in victims] == ["fail"] * 6
    started.core.drain()
    assert started.exit_status() == 0


def test_slots_of_a_loop_bound_what_runs_at_once(worker: StartWorker) -> None:
    started = worker("""
        import asyncio
        from jobfleet import handler

        running = set()

        @handler("counts", slots=4)
        async def counts(job):
            running.add(job)
            most = len(running)
            await asyncio.sleep(0.01)
            running.discard(job)
            return {"most": most}
    """)
    jobs = [started.core.give() for _ in range(100)]
    assert max(started.core.outcome(job).variables["most"] for job in jobs) == 4


def test_running_tasks_finish_when_the_core_is_gone_and_then_the_worker_ends(
    worker: StartWorker, tmp_path: Path
) -> None:
    started = worker("""
        import asyncio
        from jobfleet import handler

        @handler("slow")
        async def slow(job):
            job.log.info("running")
            await asyncio.sleep(0.1)
            open("finished", "w").close()
    """)
    started.core.give()
    started.core.printed("running")
    started.core.hang_up()
    assert started.exit_status() == 0
    assert (tmp_path / "finished").exists()


def test_worker_ends_when_the_core_is_gone(worker: StartWorker) -> None:
    started = worker(MIXED)
    started.core.hang_up()
    wait_for(lambda: started.exit_status() == 0, "the worker's end")
