"""A fleet against a real Camunda: what a user's first process goes through."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .client import CamundaClient
from .fleet import Fleet, StartFleet
from .waiting import wait_until

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)


def test_every_instance_completes(camunda: CamundaClient, name: str, start_fleet: StartFleet) -> None:
    """More jobs than the 100 requests after which this engine closes a connection."""
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("two_tasks", "--processes", "2")
    for order in range(150):
        camunda.create(name, order=order)
    arrived = camunda.take_all(f"{name}-after", 150)
    assert sorted(job["variables"]["order"] for job in arrived) == list(range(150))
    for job in arrived:
        assert job["variables"]["doubled"] == 2 * job["variables"]["order"]
        assert job["variables"]["colour"] == "green"
    assert {job["variables"]["pid"] for job in arrived} <= {process["pid"] for process in fleet.processes()}
    counts = wait_until(lambda: _settled(fleet, f"{name}-work", 150), "150 outcomes are counted")
    assert (counts["completed"], counts["failed"], counts["lost"]) == (150, 0, 0)
    assert fleet.stop() == 0


def _settled(fleet: Fleet, job_type: str, count: int) -> dict[str, int] | None:
    counts = fleet.counts(job_type)
    return counts if counts["completed"] + counts["failed"] >= count else None


def test_threaded_and_async_handlers_bring_an_instance_to_its_end(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    camunda.deploy("two_tasks", name)
    start_fleet("kinds", "--processes", "1")
    assert camunda.run(name) == {"work": True, "after": True}


def test_job_fails_with_its_retries_and_raises_an_incident(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, tmp_path: Path
) -> None:
    camunda.deploy("one_task", name)
    fleet = start_fleet("failing", "--processes", "1")
    instance = camunda.create(name)
    wait_until(lambda: _settled(fleet, f"{name}-work", 2), "both tries have failed")
    attempts = [line.split() for line in (tmp_path / "attempts").read_text().splitlines()]
    assert [retries for _, retries in attempts] == ["2", "1"]
    (job_key,) = {key for key, _ in attempts}
    # In the state that an incident leaves it in, a job takes no command.
    refused = camunda.fail(int(job_key), retries=1)
    assert refused.status_code == 409, refused.text
    (tmp_path / "mended").touch()
    camunda.set_retries(int(job_key), 1)
    camunda.resolve_incident(instance, camunda.create(name))
    wait_until(lambda: fleet.counts(f"{name}-work")["completed"] == 2, "the mended job and the next are completed")


def test_thrown_error_is_caught_by_its_process(camunda: CamundaClient, name: str, start_fleet: StartFleet) -> None:
    camunda.deploy("caught_error", name)
    fleet = start_fleet("caught_error", "--processes", "1")
    assert camunda.run(name, amount=70) == {"amount": 70, "charged": True}
    assert camunda.run(name, amount=700) == {"amount": 700, "limit": 100, "approved": True}
    assert fleet.wait_counted(f"{name}-charge", "errors_thrown")["errors_thrown"] == 1


def test_job_of_a_killed_worker_is_done_by_another_at_once(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, tmp_path: Path
) -> None:
    """The lease lasts ten minutes: only a hand-back brings the job to another process before the deadline."""
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("killed", "--processes", "2")
    camunda.create(name)
    started = tmp_path / "started"
    wait_until(started.exists, "the job has started")
    pid, key, retries = started.read_text().split()
    assert int(pid) in {process["pid"] for process in fleet.processes()}
    os.kill(int(pid), signal.SIGKILL)
    (job,) = camunda.take_all(f"{name}-after", 1, deadline_s=30)
    assert job["variables"]["pid"] != int(pid)
    assert (job["variables"]["key"], job["variables"]["retries"]) == (key, int(retries))

    def replaced() -> bool:
        states = [process["state"] for process in fleet.processes() if process["pid"] != int(pid)]
        return states.count("ready") == 2

    wait_until(replaced, "two processes are ready again")
    assert fleet.wait_counted(f"{name}-work", "handed_back")["handed_back"] == 1
    assert fleet.stop() == 0
