"""What a job goes through on a real engine: listeners, tenants, lost answers, leases that are over."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from .client import CamundaClient
from .fleet import Fleet, StartFleet
from .meddler import Meddler
from .waiting import wait_until

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)


@pytest.fixture
def start_fleet(start_fleet: StartFleet, meddler: Meddler) -> StartFleet:
    """Starts a fleet of one process behind the proxy."""
    return lambda handlers, **more: start_fleet(handlers, "--processes", "1", url=meddler.url, environ=more)


def started(directory: Path) -> list[list[str]]:
    """Key and retries of each run so far."""
    file = directory / "started"
    return [line.split() for line in file.read_text().splitlines()] if file.exists() else []


def test_execution_listener_and_task_with_the_variables_that_it_declares(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    camunda.deploy("listener", name)
    start_fleet("listening")
    ended = camunda.run(name, wantedOne=7, other="x" * 1000)
    assert (ended["wanted"], ended["absent"], ended["tenant"]) == (7, "absent", "<default>")
    # What the listener returned is there for the task that it listens to.
    assert ended["after"].isdigit()


def test_error_thrown_by_a_listener_is_an_incident_with_the_engines_words(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    """8.6 answers INVALID_STATE, which for other commands means that the job is somebody else's."""
    camunda.deploy("listener", name)
    fleet = start_fleet("listening")
    camunda.create(name, throws=True, wantedOne=1)
    counts = wait_until(lambda: _with(fleet, f"{name}-listen", "failed"), "the listener's job has failed")
    assert (counts["failed"], counts["errors_thrown"], counts["lost"]) == (1, 0, 0)
    assert "Cannot throw BPMN error from EXECUTION_LISTENER job" in fleet.log.read_text()


def test_failure_whose_answer_is_lost_costs_one_retry(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler, tmp_path: Path
) -> None:
    camunda.deploy("one_task", name)
    fleet = start_fleet("gated")
    (tmp_path / "open").touch()
    meddler.lose.add(b"/failure ")
    assert camunda.run(name, fails=True) == {"fails": True, "done": True}
    assert meddler.lost == 1
    assert len([line for line in meddler.passed if b"/failure " in line]) == 2
    assert [retries for _, retries in started(tmp_path)] == ["2", "1"]
    counts = fleet.counts(f"{name}-work")
    assert (counts["failed"], counts["lost"]) == (1, 0)


def test_completion_whose_answer_is_lost_is_done(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler, tmp_path: Path
) -> None:
    camunda.deploy("one_task", name)
    fleet = start_fleet("gated")
    (tmp_path / "open").touch()
    meddler.lose.add(b"/completion ")
    assert camunda.run(name) == {"done": True}
    counts = wait_until(lambda: _with(fleet, f"{name}-work", "completed"), "the completion is counted")
    assert (meddler.lost, counts["completed"], counts["failed"], counts["lost"]) == (1, 1, 0, 0)
    assert len(started(tmp_path)) == 1


def test_finished_work_is_completed_although_its_lease_is_over(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler, tmp_path: Path
) -> None:
    """Neither renewals nor polls get through, so the lease ends and nobody else takes the job."""
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("gated")
    camunda.create(name)
    wait_until(lambda: started(tmp_path), "the job has started")
    meddler.refuse |= {b"PATCH ", b"/activation "}
    # The lease of 3 s is over when the engine gives the job to somebody else, who hands it back.
    (job,) = camunda.take_all(f"{name}-work", 1, deadline_s=30)
    assert camunda.fail(job["key"], retries=job["retries"]).status_code == 204
    (tmp_path / "open").touch()
    camunda.take_all(f"{name}-after", 1, deadline_s=30)
    meddler.refuse.clear()
    counts = wait_until(lambda: _with(fleet, f"{name}-work", "completed"), "the completion is counted")
    assert (counts["completed"], counts["failed"], counts["lost"]) == (1, 0, 0)
    assert len(started(tmp_path)) == 1


def test_running_job_keeps_its_lease_for_as_long_as_it_runs(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler, tmp_path: Path
) -> None:
    """The second renewal comes when the first lease would be over. A lease much shorter ends on a busy host.

    That an answer is lost costs nothing: the renewal is repeated.
    """
    camunda.deploy("two_tasks", name)
    start_fleet("gated", TEST_LEASE="6s")
    meddler.lose.add(b"PATCH ")
    camunda.create(name)
    wait_until(lambda: started(tmp_path), "the job has started")
    wait_until(lambda: len([line for line in meddler.passed if line.startswith(b"PATCH ")]) >= 3, "two renewals")
    (tmp_path / "open").touch()
    camunda.take_all(f"{name}-after", 1, deadline_s=30)
    assert len(started(tmp_path)) == 1
    assert meddler.lost == 1


def test_hand_back_whose_answer_is_lost_is_not_repeated(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler, tmp_path: Path
) -> None:
    """The job may be somebody else's by then. Its lease lasts ten minutes, so it is the hand-back that brings it."""
    camunda.deploy("two_tasks", name)
    start_fleet("killed")
    camunda.create(name)
    file = tmp_path / "started"
    wait_until(file.exists, "the job has started")
    meddler.lose.add(b"/failure ")
    os.kill(int(file.read_text().split()[0]), signal.SIGKILL)
    (job,) = camunda.take_all(f"{name}-after", 1, deadline_s=30)
    assert job["variables"]["retries"] == 2
    assert (meddler.lost, len([line for line in meddler.passed if b"/failure " in line])) == (1, 1)


def _with(fleet: Fleet, job_type: str, counter: str) -> dict[str, int] | None:
    counts = fleet.counts(job_type)
    return counts if counts[counter] else None
