"""Handlers that tamper with their process: the worker goes on, with the same pid, and the fleet leaves as it should."""

from __future__ import annotations

import contextlib
import os
import re
import signal

import pytest
from jobfleet.supervisor.exits import ExitCode

from .conftest import StartFleet
from .engine import Engine
from .fleet import Fleet

OPTIONS = ("--processes", "1", "--grace", "5s")

HANDLERS = r"""
    import asyncio
    import concurrent.futures
    import gc
    import os
    import resource
    import signal
    import socket
    import subprocess
    import sys
    import threading
    import time
    import warnings

    from jobfleet import Job, handler


    @handler("pid")
    def pid(job: Job) -> dict:
        return {"pid": os.getpid()}


    @handler("prints")
    def prints(job: Job) -> dict:
        print("a line of", job.key)
        print("half a line of", job.key, end="")
        sys.stderr.write(f"an error line of {job.key}\n")
        os.write(1, f"raw bytes \xff of {job.key}\n".encode("latin-1"))
        os.write(2, b"\x00\x1b[2J" + b"z" * 100_000 + b"\n")
        return {}


    @handler("closes-output")
    def closes_output(job: Job) -> dict:
        os.close(1)
        os.close(2)
        print("nowhere", flush=True)
        sys.stdout = sys.stderr = None
        return {}


    @handler("signals")
    def signals(job: Job) -> dict:
        for number in set(signal.Signals) - {signal.SIGKILL, signal.SIGSTOP}:
            signal.signal(number, signal.SIG_IGN if number == signal.SIGCHLD else signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
        signal.signal(signal.SIGALRM, lambda *_: None)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        signal.set_wakeup_fd(os.eventfd(0, os.EFD_NONBLOCK))
        return {}


    @handler("threads")
    def threads(job: Job) -> dict:
        for _ in range(50):
            threading.Thread(target=time.sleep, args=(600,), daemon=False).start()
        concurrent.futures.ThreadPoolExecutor(1).submit(time.sleep, 600)
        return {}


    @handler("forks")
    def forks(job: Job) -> dict:
        child = os.fork()
        if child == 0:
            return {"child": True}
        _, status = os.waitpid(child, 0)
        return {"status": status}


    @handler("leaves-children")
    def leaves_children(job: Job) -> dict:
        if os.fork() == 0:
            time.sleep(600)
        subprocess.Popen(["sleep", "600"], close_fds=False)
        subprocess.Popen(["sh", "-c", "trap '' TERM INT HUP; sleep 600 & wait"], stdin=subprocess.DEVNULL)
        return {}


    @handler("settings")
    def settings(job: Job) -> dict:
        sys.setrecursionlimit(80)
        sys.setswitchinterval(1.0)
        gc.disable()
        os.umask(0o777)
        os.environ.clear()
        os.chdir("/")
        socket.setdefaulttimeout(0.001)
        warnings.simplefilter("error")
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
        os.setpgid(0, 0)
        sys.excepthook = threading.excepthook = None
        return {}


    @handler("exits")
    def exits(job: Job) -> dict:
        sys.exit(3)


    @handler("interrupts")
    def interrupts(job: Job) -> dict:
        raise KeyboardInterrupt


    @handler("exits-async")
    async def exits_async(job: Job) -> dict:
        sys.exit(3)


    @handler("stops-loop")
    async def stops_loop(job: Job) -> dict:
        loop = asyncio.get_running_loop()
        loop.call_soon(sys.exit)
        loop.create_task(asyncio.sleep(600))
        loop.call_soon(loop.stop)
        await asyncio.sleep(0.05)
        return {}


    @handler("cancels-tasks")
    async def cancels_tasks(job: Job) -> dict:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.sleep(0)
        return {}


    @handler("pid-async")
    async def pid_async(job: Job) -> dict:
        return {"pid": os.getpid()}
"""
TAMPERING = ("prints", "forks", "leaves-children", "threads", "signals", "stops-loop", "settings", "closes-output")


def pids_of(fleet: Fleet) -> set[int]:
    """The worker, as a sync and an async handler see it."""
    keys = fleet.engine.push("pid") + fleet.engine.push("pid-async")
    return {fleet.engine.wait_job(key, "completed")["variables"]["pid"] for key in keys}


@pytest.mark.parametrize("job_type", TAMPERING)
def test_worker_goes_on_after_a_handler_that_tampers_with_it(shared: Fleet, job_type: str) -> None:
    before = pids_of(shared)
    (key,) = shared.engine.push(job_type)
    assert shared.engine.wait_job(key, "completed")["activations"] == 1
    assert pids_of(shared) == before
    assert len(before) == 1


@pytest.mark.parametrize(
    ("job_type", "said"),
    [
        ("exits", "SystemExit: 3"),
        ("interrupts", "KeyboardInterrupt"),
        ("exits-async", "SystemExit: 3"),
        ("cancels-tasks", "CancelledError"),
    ],
)
def test_handler_that_wants_to_end_its_process_fails_its_job_alone(shared: Fleet, job_type: str, said: str) -> None:
    before = pids_of(shared)
    (key,) = shared.engine.push(job_type, retries=1)
    job = shared.engine.wait_job(key, "incident")
    assert said in job["message"]
    assert re.search(r"handlers\.py:\d+ in ", job["message"])
    assert job["activations"] == 1
    assert pids_of(shared) == before


def test_output_of_a_handler_is_told_with_its_job_and_process(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, *OPTIONS).wait_running()
    (key,) = engine.push("prints")
    engine.wait_job(key, "completed")
    (pid,) = pids_of(fleet)
    assert fleet.wait_for_line("raw bytes \N{REPLACEMENT CHARACTER} of")["source"] == f"default/{pid}"
    assert len(fleet.wait_for_line("zzz")["message"]) <= 16 * 1024
    assert fleet.stop() == ExitCode.OK
    for line in (f"a line of {key}", f"half a line of {key}", f"an error line of {key}"):
        record = fleet.wait_for(lambda record, line=line: record["message"] == line)
        assert (record["source"], record["key"], record["type"]) == (f"default/{pid}", key, "prints")


def test_fleet_of_such_handlers_leaves_nothing_behind(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "2").wait_running()
    for job_type in TAMPERING:
        engine.push(job_type, 2, retries=1)
    engine.wait_settled()
    for pid in fleet.tree():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    assert fleet.wait_exit() == ExitCode.OK
