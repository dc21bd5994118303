"""SIGINT and SIGTERM, to one process or to all of them, while a handler runs."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import pytest
from jobfleet.supervisor.exits import ExitCode

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S

from .conftest import StartFleet
from .engine import Engine
from .fleet import Fleet

HANDLERS = """
    import asyncio, os, subprocess, time
    from pathlib import Path
    from jobfleet import Job, handler

    def arrive(job: Job) -> None:
        Path(f"started-{job.key}").touch()

    def is_open() -> bool:
        return Path("open").exists()

    @handler("main")
    def main(job: Job) -> dict:
        arrive(job)
        while not is_open():
            time.sleep(0.01)
        return {}

    @handler("threads", slots=2)
    def threads(job: Job) -> dict:
        arrive(job)
        while not is_open():
            time.sleep(0.01)
        return {}

    @handler("loop")
    async def loop(job: Job) -> dict:
        arrive(job)
        while not is_open():
            await asyncio.sleep(0.01)
        return {}

    @handler("shell")
    def shell(job: Job) -> dict:
        arrive(job)
        # It has the default actions for all signals, as any program that a handler starts.
        done = subprocess.run(["sh", "-c", "while [ ! -e open ]; do sleep 0.05; done; echo done"], capture_output=True)
        return {"status": done.returncode, "out": done.stdout.decode()}
"""


def busy_fleet(run_fleet: StartFleet, engine: Engine, *options: str, types: tuple[str, ...]) -> tuple[Fleet, list[str]]:
    """A fleet that runs one job of each type."""
    fleet = run_fleet(HANDLERS, "--processes", "2", *options).wait_running()
    keys = [key for job_type in types for key in engine.push(job_type)]
    for key in keys:
        wait_until((fleet.folder / f"started-{key}").exists, f"job {key} runs", DEADLINE_S)
    return fleet, keys


def to_group(fleet: Fleet) -> None:
    """What Ctrl-C in a terminal does."""
    os.killpg(fleet.process.pid, signal.SIGINT)


def to_all(fleet: Fleet) -> None:
    """What a service manager may do."""
    for pid in fleet.tree():
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)


def hangup_to_all_but_the_supervisor(fleet: Fleet) -> None:
    """A hang-up means nothing to workers and zygotes."""
    for pid in fleet.tree()[1:]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGHUP)
    fleet.signal(signal.SIGTERM)


@pytest.mark.parametrize("send", [to_group, to_all, hangup_to_all_but_the_supervisor])
def test_handlers_that_run_complete_whoever_gets_the_signal(
    run_fleet: StartFleet, engine: Engine, send: Callable[[Fleet], None]
) -> None:
    fleet, keys = busy_fleet(run_fleet, engine, types=("main", "threads", "loop"))
    send(fleet)
    fleet.wait_for_line("draining")
    late = engine.push("main", 3)
    (fleet.folder / "open").touch()
    assert fleet.wait_exit() == ExitCode.OK
    assert [engine.job(key)["state"] for key in keys] == ["completed"] * 3
    assert [engine.job(key)["retries"] for key in late] == [3] * 3
    assert engine.check()["completed"] == 3


def test_interrupt_in_a_terminal_leaves_the_programs_of_handlers_alone(run_fleet: StartFleet, engine: Engine) -> None:
    fleet, (key,) = busy_fleet(run_fleet, engine, types=("shell",))
    to_group(fleet)
    fleet.wait_for_line("draining")
    (fleet.folder / "open").touch()
    assert fleet.wait_exit() == ExitCode.OK
    assert engine.job(key)["variables"] == {"status": 0, "out": "done\n"}


def test_second_signal_ends_the_fleet_at_once_and_jobs_are_handed_back(run_fleet: StartFleet, engine: Engine) -> None:
    fleet, keys = busy_fleet(run_fleet, engine, "--grace", "1h", types=("main", "threads", "loop"))
    to_group(fleet)
    # A signal that follows the first one within moments counts as its echo.
    fleet.wait_status(lambda status: 0 < (status["fleet"]["grace_left_s"] or 0) < 3599.7, "the drain is under way")
    to_group(fleet)
    assert fleet.wait_exit() == ExitCode.FORCED
    assert "3 running jobs are handed back" in fleet.wait_for_line("second SIGINT")["message"]
    jobs = [engine.job(key) for key in keys]
    assert [(job["state"], job["retries"]) for job in jobs] == [("waiting", 3)] * 3
    assert all("second SIGINT" in job["message"] for job in jobs)


def test_handlers_longer_than_the_grace_period_lose_their_jobs_but_no_retry(
    run_fleet: StartFleet, engine: Engine
) -> None:
    fleet, keys = busy_fleet(run_fleet, engine, "--grace", "0.5s", types=("main", "threads", "loop"))
    assert fleet.stop() == ExitCode.OK
    jobs = [engine.job(key) for key in keys]
    assert [(job["state"], job["retries"]) for job in jobs] == [("waiting", 3)] * 3
    assert all("grace period of 0.5 s is over" in job["message"] for job in jobs)
    assert engine.check()["handed_back"] == 3


def test_waiting_jobs_go_back_when_the_fleet_stops(run_fleet: StartFleet, engine: Engine) -> None:
    fleet = run_fleet(HANDLERS, "--processes", "2").wait_running()
    # Short runs at first, so that the fleet asks for many of them.
    (fleet.folder / "open").touch()
    engine.push("main", 500)
    engine.wait_settled()
    (fleet.folder / "open").unlink()
    engine.push("main", 500)
    wait_until(lambda: engine.account()["in_flight"] > 10, "jobs wait in the fleet", DEADLINE_S)
    fleet.signal(signal.SIGTERM)
    fleet.wait_for_line("draining")
    (fleet.folder / "open").touch()
    assert fleet.wait_exit() == ExitCode.OK
    account = engine.check()
    assert account["in_flight"] == 0
    assert account["handed_back"] > 0
    assert account["waiting"] == 1000 - account["completed"]
