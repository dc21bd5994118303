"""Every outcome that Camunda 8.6 knows, as the engine takes it, and those that it does not take."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .client import CamundaClient
from .fleet import Fleet, StartFleet
from .meddler import Meddler
from .waiting import wait_until

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)

ODD = {
    "text": 'ü € 😀 " \\ \u0000 \u2028',
    "largest": 2**64 - 1,
    "smallest": -(2**63),
    "float": 1e300,
    "whole": 1.0,
    "nothing": None,
    "ten KB": "x" * 10_000,
    "nested": [{"a": [[], {}]}, True],
}


@pytest.fixture
def fleet(camunda: CamundaClient, name: str, start_fleet: StartFleet, meddler: Meddler) -> Fleet:
    """One process of `handlers/outcomes.py` behind the proxy, its process deployed."""
    camunda.deploy("two_tasks", name)
    return start_fleet("outcomes", "--processes", "1", url=meddler.url)


def commands(meddler: Meddler, command: str) -> list[dict[str, object]]:
    """The bodies of the commands of this kind that the engine got."""
    return [json.loads(body) for line, body in meddler.bodies if f"/{command} ".encode() in line]


@pytest.mark.usefixtures("fleet")
def test_failure_sets_retries_waits_and_leaves_variables(camunda: CamundaClient, name: str) -> None:
    ended = camunda.run(name, does="fail")
    assert (ended["hint"], ended["retries"]) == (2, 7)
    assert ended["waited"] >= 0.99


@pytest.mark.usefixtures("fleet")
def test_results_of_each_kind_become_variables(camunda: CamundaClient, name: str) -> None:
    assert camunda.run(name, does="kinds") == {"does": "kinds", "fromStruct": 7, "from_dataclass": "é"}


@pytest.mark.usefixtures("fleet")
def test_odd_and_long_variables_come_back_as_they_were(camunda: CamundaClient, name: str) -> None:
    ended = camunda.run(name, does="echo", sent=ODD)
    assert ended["echo"] == ODD
    assert (len(ended["long"]), ended["length"]) == (500_000, 500_000)


def test_result_that_the_engine_cannot_store_fails_with_its_words(
    camunda: CamundaClient, name: str, fleet: Fleet, meddler: Meddler
) -> None:
    """It answers 500 each time, which looks as if another try could help."""
    camunda.create(name, does="too much")
    counts = fleet.wait_counted(f"{name}-work", "failed")
    assert (counts["completed"], counts["lost"]) == (0, 0)
    (failure,) = commands(meddler, "failure")
    assert failure["retries"] == 0
    assert "MALFORMED_REQUEST" in str(failure["errorMessage"]) or "EXCEEDED_BATCH" in str(failure["errorMessage"])
    assert len(commands(meddler, "completion")) >= 3, "one answer does not prove that it is the record"
    assert camunda.run(name, does="kinds")["fromStruct"] == 7


def test_error_that_nobody_catches_is_an_incident(camunda: CamundaClient, name: str, fleet: Fleet) -> None:
    instance = camunda.create(name, does="throw")
    counts = fleet.wait_counted(f"{name}-work", "errors_thrown")
    assert (counts["failed"], counts["lost"]) == (0, 0)
    camunda.resolve_incident(instance, camunda.create(name, does="kinds"))


def test_error_whose_answer_is_lost_is_thrown_once(
    camunda: CamundaClient, name: str, fleet: Fleet, meddler: Meddler
) -> None:
    meddler.lose.add(b"/error ")
    camunda.create(name, does="throw")
    counts = fleet.wait_counted(f"{name}-work", "errors_thrown")
    assert (meddler.lost, counts["failed"], counts["lost"]) == (1, 0, 0)
    assert len(commands(meddler, "error")) == 2


def test_result_that_the_job_cannot_have_never_leaves_the_worker(
    camunda: CamundaClient, name: str, fleet: Fleet, meddler: Meddler
) -> None:
    camunda.create(name, does="deny")
    fleet.wait_counted(f"{name}-work", "failed")
    (failure,) = commands(meddler, "failure")
    assert failure["retries"] == 0
    assert "Denial" in str(failure["errorMessage"])
    assert commands(meddler, "completion") == []


def test_cancelled_instance_stops_its_handler_and_nothing_is_sent(
    camunda: CamundaClient, name: str, fleet: Fleet, meddler: Meddler, tmp_path: Path
) -> None:
    """The engine tells of it when the lease is to be renewed."""
    instance = camunda.create(name, does="wait")
    wait_until((tmp_path / "started").exists, "the job has started")
    camunda.cancel(instance)
    wait_until((tmp_path / "cancelled").exists, "the handler is cancelled")
    counts = fleet.wait_counted(f"{name}-work", "lost")
    assert (counts["lost"], counts["completed"], counts["failed"]) == (1, 0, 0)
    assert commands(meddler, "completion") == commands(meddler, "failure") == []


def test_outcome_of_a_cancelled_instance_is_dropped(
    camunda: CamundaClient, name: str, fleet: Fleet, meddler: Meddler, tmp_path: Path
) -> None:
    """Without renewals the engine tells of it with the outcome: NOT_FOUND, which is no failure of the job."""
    meddler.refuse.add(b"PATCH ")
    instance = camunda.create(name, does="wait")
    wait_until((tmp_path / "started").exists, "the job has started")
    camunda.cancel(instance)
    (tmp_path / "open").touch()
    counts = fleet.wait_counted(f"{name}-work", "lost")
    assert (counts["lost"], counts["completed"], counts["failed"]) == (1, 0, 0)
    assert len(commands(meddler, "completion")) == 1
    assert commands(meddler, "failure") == []
