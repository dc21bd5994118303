"""SIGTERM, SIGINT and the second signal. Real processes, real signals."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest
from jobfleet.supervisor.exits import ExitCode

from .running import RunningFleet, wait_gone

RunFleet = Callable[..., RunningFleet]

HANDLERS = """
    import os, time
    from jobfleet import Job, handler

    @handler("stubborn")
    def stubborn(job: Job) -> dict:
        print("started in", os.getpid(), flush=True)
        while True:
            time.sleep(1)
"""


@pytest.fixture
def engine() -> object:
    """A local engine that outlives fleets, so that its account can be read after their end."""
    from jobfleet._core import LocalEngine

    local = LocalEngine(b'{"port": 0}')
    yield local
    local.stop()


def account(engine: object) -> dict[str, int]:
    import json

    return json.loads(engine.account())  # type: ignore[attr-defined, no-any-return]


def push(engine: object, job_type: str, **variables: object) -> None:
    import httpx

    body = {"type": job_type, "count": 1, "variables": variables, "retries": 3}
    url = f"http://127.0.0.1:{engine.port}/local/jobs"  # type: ignore[attr-defined]
    httpx.post(url, json=body, timeout=30).raise_for_status()


def job(engine: object, job_type: str) -> dict[str, object]:
    """The engine's only job of a type."""
    import httpx

    url = f"http://127.0.0.1:{engine.port}/local/jobs?type={job_type}"  # type: ignore[attr-defined]
    (found,) = httpx.get(url, timeout=30).raise_for_status().json()["jobs"]
    return dict(found)


def run_against(run_fleet: RunFleet, engine: object, *options: str) -> RunningFleet:
    url = f"camunda+http://127.0.0.1:{engine.port}"  # type: ignore[attr-defined]
    return run_fleet(HANDLERS, "--engine", url, *options).wait_running()


def test_handler_that_outlives_the_grace_period_is_killed_and_its_job_handed_back(
    run_fleet: RunFleet, engine: object
) -> None:
    fleet = run_against(run_fleet, engine, "--processes", "1", "--grace", "1s")
    push(engine, "stubborn")
    worker = int(fleet.wait_for_line("started in")["message"].split()[-1])
    assert fleet.stop() == ExitCode.OK
    assert wait_gone(worker)
    fleet.wait_for_line("the grace period of 1 s is over: 1 running job")
    final = account(engine)
    assert (final["handed_back"], final["incidents"], final["expired"], final["waiting"]) == (1, 0, 0, 1)
    left = job(engine, "stubborn")
    assert left["retries"] == 3
    assert "grace period of 1 s is over" in str(left["message"])


def test_second_signal_ends_the_fleet_at_once_and_says_what_that_costs(run_fleet: RunFleet, engine: object) -> None:
    fleet = run_against(run_fleet, engine, "--processes", "1", "--grace", "10m")
    push(engine, "stubborn")
    fleet.wait_for_line("started in")
    fleet.signal(signal.SIGTERM)
    fleet.wait_for_line("draining")
    while not any("second SIGTERM" in record["message"] for record in list(fleet.records)):
        # One that follows at once is taken for an echo of the first.
        fleet.signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            fleet.process.wait(0.1)
    assert fleet.wait_exit() == ExitCode.FORCED
    assert "1 running job" in fleet.wait_for_line("second SIGTERM")["message"]
    assert account(engine)["handed_back"] == 1
    assert "second SIGTERM" in str(job(engine, "stubborn")["message"])


def test_status_counts_the_grace_period_down(run_fleet: RunFleet, engine: object) -> None:
    fleet = run_against(run_fleet, engine, "--processes", "1", "--grace", "10m")
    push(engine, "stubborn")
    fleet.wait_for_line("started in")
    assert fleet.status()["fleet"]["grace_left_s"] is None
    fleet.signal(signal.SIGTERM)
    fleet.wait_for_line("draining")
    status = fleet.status()
    assert status["fleet"]["state"] == "draining"
    assert 0 < status["fleet"]["grace_left_s"] <= 600
    assert [process["state"] for process in fleet.processes()] == ["draining"]


def test_drain_over_the_control_api_ends_the_fleet(run_fleet: RunFleet, engine: object) -> None:
    fleet = run_against(run_fleet, engine, "--processes", "1")
    with fleet.client() as client:
        assert client.post("/v1/drain").json() == {"state": "draining"}
    assert fleet.wait_exit() == ExitCode.OK
    assert not fleet.socket.exists()


def test_worker_that_dies_in_the_drain_is_not_replaced(run_fleet: RunFleet, engine: object) -> None:
    fleet = run_against(run_fleet, engine, "--processes", "1", "--grace", "10m")
    push(engine, "stubborn")
    worker = int(fleet.wait_for_line("started in")["message"].split()[-1])
    fleet.signal(signal.SIGTERM)
    fleet.wait_for_line("draining")
    os.kill(worker, signal.SIGKILL)
    assert fleet.wait_exit() == ExitCode.OK
    assert account(engine)["handed_back"] == 1


def test_signal_while_the_handlers_are_still_imported_ends_the_fleet(run_fleet: RunFleet) -> None:
    fleet = run_fleet("import time\nprint('importing', flush=True)\ntime.sleep(600)\n")
    fleet.wait_for_line("importing")
    started = time.monotonic()
    assert fleet.stop() == ExitCode.OK
    assert time.monotonic() - started < 60
