"""Processes that do not move: told apart, left alone by dispatch, and ended by a ladder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S, Json

from .conftest import StartFleet
from .engine import Engine
from .fleet import Fleet

HANDLERS = """
    import asyncio, ctypes, os, time
    from pathlib import Path
    from jobfleet import Job, handler

    def wait_open(job, pause=0.01):
        Path(f"started-{job.key}-{os.getpid()}").touch()
        while not os.path.exists("open"):
            time.sleep(pause)

    @handler("computes")
    def computes(job: Job) -> dict:
        Path(f"started-{job.key}-{os.getpid()}").touch()
        while not os.path.exists("open"):
            sum(range(10000))
        return {}

    @handler("waits")
    def waits(job: Job) -> dict:
        wait_open(job)
        return {"pid": os.getpid()}

    @handler("hangs", time_limit="300ms")
    def hangs(job: Job) -> dict:
        while True:
            try:
                time.sleep(600)
            except BaseException:
                pass
"""

GIL = """
    import ctypes, hashlib, os, threading
    from pathlib import Path
    from jobfleet import Job, handler

    @handler("holds-gil", slots=4)
    def holds_gil(job: Job) -> dict:
        Path(f"started-{job.key}-{os.getpid()}").touch()
        # The processor time of one thread that needs no lock, and the lock in another one that uses none.
        work = threading.Thread(target=hashlib.pbkdf2_hmac, args=("sha256", b"", b"", 500_000_000), daemon=True)
        work.start()
        while not os.path.exists("open"):
            ctypes.PyDLL(None).usleep(900_000)
        return {}

    @handler("noop", slots=4)
    def noop(job: Job) -> dict:
        return {}
"""


OFTEN = {"JOBFLEET_LOOK_EVERY": "100ms"}


def started(fleet: Fleet, key: str) -> int:
    """The process that a job has started in."""

    def look() -> int | None:
        found = list(fleet.folder.glob(f"started-{key}-*"))
        return int(found[-1].name.rpartition("-")[2]) if found else None

    return wait_until(look, f"job {key} has started", DEADLINE_S)


def liveness(status: Json, pid: int) -> str | None:
    """What status says of one process."""
    processes = [process for pool in status["pools"] for process in pool["processes"]]
    return next((str(process["liveness"]) for process in processes if process["pid"] == pid), None)


def test_stopped_process_is_told_gets_no_jobs_and_goes_on_after_sigcont(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "2", environ=OFTEN).wait_running()
    (key,) = engine.push("waits")
    pid = started(fleet, key)
    os.kill(pid, signal.SIGSTOP)
    status = fleet.wait_status(lambda status: liveness(status, pid) == "stopped", "the process is stopped")
    told = next(process for process in status["pools"][0]["processes"] if process["pid"] == pid)
    assert "SIGCONT" in told["trouble"]
    Path(fleet.folder / "open").touch()
    others = engine.push("waits", 20)
    for other in others:
        assert engine.wait_job(other, "completed")["variables"]["pid"] != pid
    os.kill(pid, signal.SIGCONT)
    assert engine.wait_job(key, "completed")["variables"]["pid"] == pid
    fleet.wait_status(lambda status: liveness(status, pid) in ("idle", "busy"), "it moves again")
    assert fleet.stop() == 0


def test_stopped_process_is_killed_after_its_deadline_and_its_job_is_no_suspect(
    run_fleet: StartFleet, engine: Engine
) -> None:
    fleet = run_fleet(
        HANDLERS, "--processes", "2", environ=OFTEN | {"JOBFLEET_STOPPED_TIMEOUT": "500ms"}
    ).wait_running()
    (key,) = engine.push("waits")
    pid = started(fleet, key)
    os.kill(pid, signal.SIGSTOP)
    assert "is killed: it was stopped for" in fleet.wait_for_line("is killed: it was stopped")["message"]
    buried = fleet.wait_for(lambda record: key in (record.get("keys") or []))
    assert "it was stopped for" in buried["message"]
    assert fleet.status()["poison"]["suspects"] == 0
    Path(fleet.folder / "open").touch()
    job = engine.wait_job(key, "completed")
    assert (job["activations"], job["retries"]) == (2, 3)
    assert fleet.stop() == 0


def test_busy_process_is_told_from_one_that_hangs_and_that_one_is_ended(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(
        HANDLERS, "--processes", "2", environ=OFTEN | {"JOBFLEET_STALLED_TIMEOUT": "400ms"}
    ).wait_running()
    (busy,) = engine.push("computes")
    pid = started(fleet, busy)
    (key,) = engine.push("hangs", retries=1)
    message = engine.wait_job(key, "incident")["message"]
    assert "the handler did not heed its time limit of 0.3 s and hung; worker process" in message
    assert "is hung: job" in fleet.wait_for_line("is hung: job")["message"]
    fleet.wait_for_line("in hangs")
    # A single slot may compute for as long as it likes.
    assert liveness(fleet.status(), pid) == "busy"
    Path(fleet.folder / "open").touch()
    engine.wait_job(busy, "completed")
    assert fleet.stop() == 0


def test_handler_that_holds_the_interpreter_is_told_while_others_wait_for_it(
    run_fleet: StartFleet, engine: Engine
) -> None:
    fleet = run_fleet(GIL, "--processes", "1", environ=OFTEN | {"JOBFLEET_STALLED_TIMEOUT": "0"}).wait_running()
    (key,) = engine.push("holds-gil")
    pid = started(fleet, key)

    def stands_still(status: Json) -> bool:
        # Again and again: jobs that come while the lock changes hands do not wait for it.
        engine.push("noop", 4)
        return liveness(status, pid) == "gil-stalled"

    fleet.wait_status(stands_still, "the interpreter stands still")
    Path(fleet.folder / "open").touch()
    engine.wait_settled()
    fleet.wait_status(lambda status: liveness(status, pid) in ("idle", "busy"), "it moves again")
    assert fleet.stop() == 0
