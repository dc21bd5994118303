"""The control API of a running fleet."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from .running import DEADLINE_S, RunningFleet

HANDLERS = """
    import time
    from jobfleet import Job, JobError, handler

    @handler("work")
    def work(job: Job) -> dict:
        if job.variables.get("throw"):
            raise JobError("NO", "no")
        print("worked", flush=True)
        return {}

    @handler("slow", slots=2)
    def slow(job: Job) -> dict:
        print("started", flush=True)
        time.sleep(600)
"""


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFleet]:
    """One fleet for all tests of this module: they only look."""
    running = RunningFleet(tmp_path_factory.mktemp("fleet"), HANDLERS, "--processes", "2", "--name", "orders")
    try:
        yield running.wait_running()
    finally:
        running.close()


def until(holds: Callable[[], bool], fleet: RunningFleet) -> None:
    """Wait for figures, which nothing announces."""
    end = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < end, fleet.status()
        time.sleep(0.01)


def counts(fleet: RunningFleet, job_type: str) -> dict[str, int]:
    return next(kind for kind in fleet.status()["types"] if kind["type"] == job_type)


def test_status_names_fleet_pools_and_processes(fleet: RunningFleet) -> None:
    until(lambda: len(fleet.worker_pids()) == 2, fleet)
    status = fleet.status()
    assert status["fleet"]["name"] == "orders"
    assert status["fleet"]["pid"] == fleet.process.pid
    assert status["fleet"]["state"] == "running"
    assert status["fleet"]["socket"] == str(fleet.socket)
    assert status["fleet"]["illegal_transitions"] == 0
    assert status["fleet"]["memory_bytes"] > 2**20
    (pool,) = status["pools"]
    assert [handler["type"] for handler in pool["handlers"]] == ["work", "slow"]
    for process in pool["processes"]:
        assert psutil.Process(process["pid"]).ppid() == fleet.process.pid
        assert process["memory_bytes"] > 2**18
        assert process["slots"] == 3


def test_outcomes_are_counted(fleet: RunningFleet) -> None:
    before = counts(fleet, "work")
    fleet.push("work", 5)
    fleet.push("work", 2, throw=True)
    until(lambda: counts(fleet, "work")["completed"] == before["completed"] + 5, fleet)
    until(lambda: counts(fleet, "work")["errors_thrown"] == before["errors_thrown"] + 2, fleet)
    assert fleet.status()["totals"]["completed"] == sum(kind["completed"] for kind in fleet.status()["types"])


def test_running_jobs_are_shown_with_their_process(fleet: RunningFleet) -> None:
    fleet.push("slow")
    fleet.wait_for_line("started")
    busy = [process for process in fleet.processes() if process["running"]]
    assert [job["type"] for process in busy for job in process["running"]] == ["slow"]
    assert [process["busy"] for process in busy] == [1]


def test_metrics_are_open_metrics_and_say_the_same(fleet: RunningFleet) -> None:
    with fleet.client() as client:
        answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = {family.name: family for family in text_string_to_metric_families(answer.text)}
    samples = {
        (sample.labels["type"], sample.labels["outcome"]): sample.value for sample in families["jobfleet_jobs"].samples
    }
    assert samples["work", "completed"] == counts(fleet, "work")["completed"]
    assert families["jobfleet_engine_up"].samples[0].value == 1
    ready = [sample for sample in families["jobfleet_processes"].samples if sample.labels["state"] == "ready"]
    assert [sample.value for sample in ready] == [2]


def test_health_and_readiness_are_good(fleet: RunningFleet) -> None:
    with fleet.client() as client:
        assert client.get("/healthz").text == "ok\n"
        assert client.get("/readyz").text == "ready\n"


@pytest.mark.parametrize(("method", "route", "code"), [("GET", "/v1/nothing", 404), ("GET", "/v1/drain", 405)])
def test_unknown_requests_are_refused(fleet: RunningFleet, method: str, route: str, code: int) -> None:
    with fleet.client() as client:
        assert client.request(method, route).status_code == code


def test_curl_can_ask(fleet: RunningFleet) -> None:
    try:
        done = subprocess.run(
            ["curl", "--silent", "--unix-socket", str(fleet.socket), "http://fleet/v1/status"],
            capture_output=True,
            timeout=DEADLINE_S,
            check=True,
        )
    except FileNotFoundError:
        pytest.skip("curl is not installed")
    assert json.loads(done.stdout)["fleet"]["name"] == "orders"


def test_idle_fleet_that_was_asked_does_not_tick(fleet: RunningFleet) -> None:
    """Ten wake-ups a second would show as that many voluntary switches of the main thread."""
    fleet.status()
    main = Path(f"/proc/{fleet.process.pid}/task/{fleet.process.pid}/status")

    def switches() -> int:
        line = next(line for line in main.read_text().splitlines() if line.startswith("voluntary"))
        return int(line.split()[1])

    def has_a_quiet_span() -> bool:
        # The span over which is counted; what it may contain is generous for anything but a tick.
        before = switches()
        time.sleep(2)
        return switches() - before < 10

    # A host that is short of memory makes a process wait for its own pages now and then; a tick is in every span.
    assert any(has_a_quiet_span() for _ in range(3))


def test_slow_listener_does_not_stop_the_fleet(fleet: RunningFleet) -> None:
    with fleet.client() as client, client.stream("GET", "/v1/events"):
        # Nobody reads the stream.
        victims = fleet.worker_pids()
        os.kill(victims[0], 9)
        until(lambda: len(fleet.worker_pids()) == 2 and victims[0] not in fleet.worker_pids(), fleet)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_other_users_are_not_answered_even_where_the_mode_lets_them_in(fleet: RunningFleet) -> None:
    fleet.status()
    fleet.socket.parent.chmod(0o755)
    fleet.socket.chmod(0o666)
    program = (
        "import socket, sys\n"
        "client = socket.socket(socket.AF_UNIX)\n"
        "client.connect(sys.argv[1])\n"
        "client.sendall(b'GET /healthz HTTP/1.1\\r\\nHost: fleet\\r\\nConnection: close\\r\\n\\r\\n')\n"
        "print(client.recv(100))\n"
    )
    command = ["/usr/bin/env", "python3", "-c", program, str(fleet.socket)]
    own = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=True)
    assert "200 OK" in own.stdout
    other = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, user=65534)
    assert "200 OK" not in other.stdout
    assert other.stdout == "b''\n" or "ConnectionResetError" in other.stderr or "BrokenPipeError" in other.stderr
    fleet.socket.chmod(0o600)
