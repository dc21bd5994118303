"""`@on_start` and `@on_stop` in a real worker."""

import textwrap
from collections.abc import Callable
from pathlib import Path

from .fleet import Worker, Zygote

StartWorker = Callable[..., Worker]

HANDLERS = """
    import asyncio
    import threading

    from jobfleet import Job, State, handler, on_start, on_stop

    def where():
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return "no loop"
        return "loop"

    @on_start
    def connect(state: State) -> None:
        state.started = [f"sync {where()}"]

    @on_start
    async def connect_more(state):
        await asyncio.sleep(0)
        state.started.append(f"async {where()}")
        state.loop = asyncio.get_running_loop()

    @on_start
    def without_state():
        pass

    @on_stop
    async def disconnect(state):
        print("second", where(), state.started[0])

    @on_stop
    def say_goodbye(state):
        print("first", where())
        raise ValueError("not to be reached by others")
"""
SYNC = """
    @handler("sync")
    def sync(job):
        return {"started": job.state.started}
"""
ASYNC = """
    @handler("async")
    async def on_loop(job):
        return {"started": job.state.started, "same": job.state.loop is asyncio.get_running_loop()}
"""


def test_state_of_start_hooks_reaches_sync_handlers(worker: StartWorker) -> None:
    started = worker(HANDLERS + SYNC)
    outcome = started.core.outcome(started.core.give())
    assert outcome.variables == {"started": ["sync no loop", "async loop"]}


def test_async_hooks_run_on_the_loop_of_async_handlers(worker: StartWorker) -> None:
    for source in (HANDLERS + ASYNC,):
        started = worker(source)
        assert started.core.outcome(started.core.give()).variables["same"] is True


def test_async_hooks_run_on_the_loop_in_its_own_thread(worker: StartWorker) -> None:
    started = worker(HANDLERS + SYNC + ASYNC)
    assert started.core.outcome(started.core.give(1, lane=1)).variables["same"] is True


def test_stop_hooks_run_in_reverse_after_the_last_job_whatever_one_of_them_raises(worker: StartWorker) -> None:
    started = worker(HANDLERS + SYNC + ASYNC)
    started.core.drain()
    assert started.exit_status() == 0
    output = started.output()
    assert output.index("first no loop") < output.index("second loop sync no loop")
    assert "@on_stop say_goodbye raised" in output
    assert "not to be reached by others" in output


def test_start_hook_that_raises_reports_it_and_ends_the_worker(zygote: Zygote, tmp_path: Path) -> None:
    source = """
        from jobfleet import handler, on_start

        @on_start
        def connect():
            raise ConnectionError("the database is away")

        @handler("work")
        def work(job):
            pass
    """
    (tmp_path / "handlers.py").write_text(textwrap.dedent(source))
    zygote.load("handlers.py")
    started = zygote.fork()
    started.core.wait(lambda: started.core.start_failed is not None)
    assert "@on_start connect" in str(started.core.start_failed)
    assert "ConnectionError: the database is away" in str(started.core.start_failed)
    assert not started.core.ready
    assert started.exit_status() == 70


def test_state_that_no_hook_set_fails_the_job_with_advice(worker: StartWorker) -> None:
    started = worker("""
        from jobfleet import handler

        @handler("work")
        def work(job):
            return {"x": job.state.db}
    """)
    assert "@on_start" in str(started.core.outcome(started.core.give()).message)
