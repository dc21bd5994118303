"""How a fleet asks a Camunda 8.6 for jobs. It does not notice when the other end of a held poll is gone."""

from __future__ import annotations

import json
import signal

import pytest

from .chain import chain
from .client import CamundaClient
from .fleet import Fleet, StartFleet
from .meddler import Meddler
from .waiting import wait_until

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)


def held(fleet: Fleet) -> bool:
    """Whether a poll of the fleet waits for a job."""
    return bool(fleet.status()["totals"]["held_polls"])


def test_job_that_comes_while_the_fleet_drains_goes_back(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    """A poll that was given up would take the job into its lease of ten minutes."""
    camunda.deploy("one_task", name)
    fleet = start_fleet("idle", "--processes", "1")
    wait_until(lambda: held(fleet), "a poll is held")
    fleet.signal(signal.SIGTERM)
    # A job that comes before the signal is seen is done as ever.
    fleet.wait_logged("draining")
    camunda.create(name)
    (job,) = camunda.take_all(f"{name}-work", 1, deadline_s=30)
    assert job["retries"] == 2
    assert fleet.wait() == 0


def test_paused_and_scaled_pool_leaves_nothing_behind(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    camunda.deploy("one_task", name)
    fleet = start_fleet("idle", "--processes", "1", environ={"JOBFLEET_ENGINE_WORKER_NAME": "pump"})
    wait_until(lambda: held(fleet), "a poll is held")
    fleet.command("pause", "default")
    camunda.create(name)
    (job,) = camunda.take_all(f"{name}-work", 1, deadline_s=30)
    assert job["retries"] == 2
    assert camunda.fail(job["key"], retries=2).status_code == 204
    fleet.command("scale", "default", "3")
    fleet.command("resume", "default")
    assert camunda.run(name) == {"worker": "pump"}
    fleet.command("scale", "default", "1")
    camunda.run(name)
    assert fleet.wait_counted(f"{name}-work", "completed", 3)["completed"] == 3
    assert fleet.stop() == 0


def test_many_types_share_one_engine(camunda: CamundaClient, name: str, start_fleet: StartFleet) -> None:
    """Every type has a held poll; none of them keeps the outcomes of the others waiting."""
    types = 40
    camunda.deploy_text(chain(name, [*(f"{name}-{number}" for number in range(types)), f"{name}-after"]), name)
    fleet = start_fleet("many", "--processes", "1", environ={"TEST_TYPES": str(types)})
    camunda.create(name)
    (job,) = camunda.take_all(f"{name}-after", 1)
    assert job["variables"] == {"seen": list(range(types))}
    # A type that was busy may have had two for a moment.
    wait_until(
        lambda: fleet.status()["fleet"]["engine"]["poll_connections"] <= types or None, "one connection for each type"
    )


def test_answers_keep_to_the_byte_budget(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler
) -> None:
    """8.6 has no limit of its own: it puts a hundred jobs of 100 KB into one answer."""
    camunda.deploy("one_task", name)
    for _ in range(40):
        camunda.create(name, payload="x" * 100_000)
    fleet = start_fleet("idle", "--processes", "1", url=meddler.url, environ={"JOBFLEET_ENGINE_BYTE_BUDGET": "500KiB"})
    fleet.wait_counted(f"{name}-work", "completed", 40)
    largest = max(size for line, size in meddler.answers if b"/activation " in line)
    assert 100_000 < largest < 600_000


def test_requests_have_what_this_version_knows_and_no_more(
    camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler
) -> None:
    camunda.deploy("listener", name)
    fleet = start_fleet("listening", "--processes", "1", "--name", "small", url=meddler.url)
    camunda.run(name, wantedOne=7)
    assert fleet.status()["fleet"]["engine"]["version"] == "8.6.0"
    bodies = [(line, json.loads(body)) for line, body in meddler.bodies if line.startswith(b"POST ")]
    polls = {body["type"]: body for line, body in bodies if b"/activation " in line}
    work = polls[f"{name}-work"]
    assert work["fetchVariable"] == ["wantedOne", "listened", "absent"]
    assert work["tenantIds"] == ["<default>"]
    assert work["timeout"] == 60_000
    known = {"type", "maxJobsToActivate", "timeout", "worker", "fetchVariable", "requestTimeout", "tenantIds"}
    assert [set(poll) - known for poll in polls.values()] == [set(), set()]
    outcomes = [set(body) for line, body in bodies if b"/completion " in line]
    assert outcomes == [{"variables"}, {"variables"}]
