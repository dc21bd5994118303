"""Handlers that do what they should not: survived, or the process dies and nothing is settled twice."""

import os
import re
import signal
from collections.abc import Callable

import pytest

from .fleet import Worker

StartWorker = Callable[..., Worker]

HANDLERS = """
    import atexit
    import concurrent.futures
    import ctypes
    import multiprocessing
    import os
    import signal
    import subprocess
    import sys
    import threading
    import time

    from jobfleet import JobFailure, handler

    @handler("noop")
    def noop(job):
        return {"pid": os.getpid()}

    @handler("os-exit")
    def os_exit(job):
        os._exit(5)

    @handler("segfault")
    def segfault(job):
        ctypes.string_at(0)

    @handler("forks")
    def forks(job):
        pid = os.fork()
        if pid == 0:
            how = job.variables["how"]
            if how == "raises":
                raise ValueError("in the child")
            if how == "exits":
                sys.exit(7)
            if how == "prints":
                print("from the child", flush=True)
                job.log.info("a record of the child")
            return {"child": True}
        _, status = os.waitpid(pid, 0)
        return {"status": os.waitstatus_to_exitcode(status)}

    @handler("leaves-a-child")
    def leaves_a_child(job):
        pid = os.fork()
        if pid == 0:
            time.sleep(600)
        return {"pid": pid}

    @handler("subprocess")
    def sub(job):
        return {"out": subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout}

    @handler("preexec")
    def preexec(job):
        done = subprocess.run(["echo", "hello"], capture_output=True, text=True, preexec_fn=os.getpid)
        return {"out": done.stdout}

    def double(x):
        return 2 * x

    @handler("multiprocessing")
    def pool(job):
        context = multiprocessing.get_context(job.variables["how"])
        with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as executor:
            return {"doubled": list(executor.map(double, range(4)))}

    @handler("changes-signals")
    def changes_signals(job):
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)

    @handler("leaks-threads")
    def leaks_threads(job):
        threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
        concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 600)

    @handler("writes")
    def writes(job):
        os.write(1, b"raw bytes \\xff to stdout\\n")

    @handler("exits-slowly")
    def exits_slowly(job):
        atexit.register(print, "exit function ran")

    @handler("large")
    def large(job):
        return {"text": "x" * job.variables["bytes"]}
"""
TYPES = re.findall(r'@handler\("([^"]+)"', HANDLERS)


@pytest.fixture
def started(worker: StartWorker) -> Worker:
    return worker(HANDLERS)


def still_works(started: Worker) -> bool:
    outcome = started.core.outcome(started.core.give(0))
    return bool(outcome.variables == {"pid": started.pid})


def test_os_exit_is_a_death_with_that_status(started: Worker) -> None:
    job = started.core.give(TYPES.index("os-exit"))
    assert started.exit_status() == 5
    started.core.wait_closed()
    assert job not in started.core.outcomes


def test_segfault_is_a_death_that_shows_its_stack(started: Worker) -> None:
    job = started.core.give(TYPES.index("segfault"))
    assert started.exit_status() == -11
    started.core.wait_closed()
    assert job not in started.core.outcomes
    assert "in segfault" in started.output()


@pytest.mark.parametrize(("how", "status"), [("returns", 0), ("raises", 1), ("exits", 7), ("prints", 0)])
def test_child_that_leaves_the_handler_ends_and_settles_nothing(started: Worker, how: str, status: int) -> None:
    job = started.core.give(TYPES.index("forks"), variables={"how": how})
    assert started.core.outcome(job).variables == {"status": status}
    assert still_works(started)
    assert "child" not in str(started.core.logs)
    assert ("from the child" in started.output()) == (how == "prints")


def test_child_of_a_handler_does_not_hold_the_link_open(started: Worker) -> None:
    child = started.core.outcome(started.core.give(TYPES.index("leaves-a-child"))).variables["pid"]
    started.core.drain()
    assert started.exit_status() == 0
    started.core.wait_closed()
    os.kill(child, signal.SIGKILL)


@pytest.mark.parametrize("how", ["subprocess", "preexec"])
def test_subprocesses_work(started: Worker, how: str) -> None:
    assert started.core.outcome(started.core.give(TYPES.index(how))).variables == {"out": "hello\n"}
    assert still_works(started)


@pytest.mark.parametrize("how", ["fork", "spawn", "forkserver"])
def test_multiprocessing_works(started: Worker, how: str) -> None:
    job = started.core.give(TYPES.index("multiprocessing"), variables={"how": how})
    assert started.core.outcome(job).variables == {"doubled": [0, 2, 4, 6]}
    assert still_works(started)


@pytest.mark.parametrize("how", ["changes-signals", "writes"])
def test_handler_that_tampers_with_its_process_is_survived(started: Worker, how: str) -> None:
    assert started.core.outcome(started.core.give(TYPES.index(how))).kind == "complete"
    assert still_works(started)


def test_leaked_threads_do_not_block_the_exit(started: Worker) -> None:
    started.core.outcome(started.core.give(TYPES.index("leaks-threads")))
    started.core.drain()
    assert started.exit_status() == 0


def test_exit_functions_run(started: Worker) -> None:
    started.core.outcome(started.core.give(TYPES.index("exits-slowly")))
    started.core.drain()
    assert started.exit_status() == 0
    assert "exit function ran" in started.output()


def test_job_and_result_of_4_mb_pass(started: Worker) -> None:
    job = started.core.give(TYPES.index("large"), variables={"bytes": 4_000_000, "padding": "y" * 4_000_000})
    assert len(started.core.outcome(job).variables["text"]) == 4_000_000


def test_result_that_no_frame_holds_fails_the_job(started: Worker) -> None:
    job = started.core.give(TYPES.index("large"), variables={"bytes": 65 << 20})
    outcome = started.core.outcome(job)
    assert (outcome.kind, outcome.retries) == ("fail", 0)
    assert still_works(started)


THREADS = """
    import os
    import threading

    from jobfleet import handler

    together = threading.Barrier(2)

    @handler("forks", slots=2)
    def forks(job):
        together.wait(45)
        pid = os.fork()
        if pid == 0:
            return {"child": True, "cancelled": job.cancelled}
        _, status = os.waitpid(pid, 0)
        return {"status": os.waitstatus_to_exitcode(status)}
"""


def test_child_of_a_threaded_handler_ends_and_settles_nothing(worker: StartWorker) -> None:
    started = worker(THREADS)
    jobs = [started.core.give() for _ in range(6)]
    assert [started.core.outcome(job).variables for job in jobs] == [{"status": 0}] * 6
    started.core.drain()
    assert started.exit_status() == 0


ASYNC = """
    import asyncio
    import os
    import sys

    from jobfleet import handler

    @handler("forks", slots=8)
    async def forks(job):
        pid = os.fork()
        if pid == 0:
            if job.variables["how"] == "awaits":
                await asyncio.sleep(0)
                print("the child came back", flush=True)
            return {"child": True}
        await asyncio.sleep(0)
        _, status = os.waitpid(pid, 0)
        return {"status": os.waitstatus_to_exitcode(status)}

    @handler("steps", slots=8)
    async def steps(job):
        for _ in range(50):
            await asyncio.sleep(0)
        return {"pid": os.getpid()}

    @handler("subprocess")
    async def sub(job):
        process = await asyncio.create_subprocess_exec("echo", "hello", stdout=asyncio.subprocess.PIPE)
        out, _ = await process.communicate()
        return {"out": out.decode()}
"""


@pytest.mark.parametrize("how", ["returns", "awaits"])
def test_child_of_an_async_handler_never_turns_the_loop(worker: StartWorker, how: str) -> None:
    started = worker(ASYNC)
    others = [started.core.give(1) for _ in range(4)]
    forked = [started.core.give(0, variables={"how": how}) for _ in range(4)]
    assert [started.core.outcome(job).variables for job in forked] == [{"status": 0}] * 4
    assert [started.core.outcome(job).variables for job in others] == [{"pid": started.pid}] * 4
    assert "the child came back" not in started.output() + str(started.core.logs)


def test_async_subprocesses_work(worker: StartWorker) -> None:
    started = worker(ASYNC)
    assert started.core.outcome(started.core.give(2)).variables == {"out": "hello\n"}
