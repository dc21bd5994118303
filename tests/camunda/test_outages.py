"""A Camunda that is killed, paused, overloaded or an hour ahead, behind https, HTTP/2 and a base path of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.system.pki import Pki

from .chain import chain
from .client import CamundaClient
from .conftest import engine_home
from .engine import CamundaEngine
from .fleet import Fleet, StartFleet
from .waiting import wait_until

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)

HOUR_MS = 3_600_000


@pytest.fixture(scope="module")
def pki() -> Pki:
    """Certificates of the engine and of its clients."""
    return Pki()


@pytest.fixture(scope="module")
def camunda_engine(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CamundaEngine]:
    """An engine for these tests alone. It lets nobody in without a certificate, and its clock can be moved."""
    directory = tmp_path_factory.mktemp("guarded")
    files = {}
    for name, text in pki.engine_options().items():
        files[name] = directory / f"{name}.txt"
        files[name].write_text(text)
    settings = {
        "SERVER_SSL_ENABLED": "true",
        "SERVER_SSL_CERTIFICATE": str(files["cert_pem"]),
        "SERVER_SSL_CERTIFICATEPRIVATEKEY": str(files["key_pem"]),
        "SERVER_SSL_TRUSTCERTIFICATE": str(files["client_ca_pem"]),
        "SERVER_SSL_CLIENTAUTH": "need",
        "MANAGEMENT_SERVER_SSL_ENABLED": "false",
        "SERVER_HTTP2_ENABLED": "true",
        "SERVER_SERVLET_CONTEXTPATH": "/base",
        "ZEEBE_CLOCK_CONTROLLED": "true",
    }
    engine = CamundaEngine(*engine_home(), directory, settings, pki.client_context())
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def camunda(camunda_engine: CamundaEngine) -> Iterator[CamundaClient]:
    """A client with a certificate."""
    client = CamundaClient(camunda_engine.url, camunda_engine.trust)
    yield client
    client.close()


@pytest.fixture
def start_fleet(start_fleet: StartFleet, camunda_engine: CamundaEngine, pki: Pki, tmp_path: Path) -> StartFleet:
    """Starts a fleet that finds the engine and its certificates in variables of Camunda's own SDKs."""
    variables = pki.write(tmp_path) | {"CAMUNDA_REST_ADDRESS": f"{camunda_engine.url}/v2"}

    def start(handlers: str, **more: str) -> Fleet:
        return start_fleet(handlers, "--processes", "1", url="", environ=variables | more)

    return start


def manage(engine: CamundaEngine, switch: str, body: object = None) -> None:
    """Turn one of the engine's own switches."""
    httpx.post(f"{engine.management_url}/actuator/{switch}", json=body, timeout=30).raise_for_status()


def wait_running(fleet: Fleet, job_type: str, count: int) -> None:
    """Return once so many handlers are at work."""
    fleet.wait_counted(job_type, "running", count)


def test_fleet_of_camundas_variables_works_over_https_and_http2(
    camunda: CamundaClient, name: str, start_fleet: StartFleet
) -> None:
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("kinds")
    assert camunda.run(name) == {"work": True, "after": True}
    engine = fleet.status()["fleet"]["engine"]
    assert (engine["state"], engine["version"]) == ("up", "8.6.0")
    assert engine["outcome_streams"] > 0, "Tomcat offers HTTP/2, so it is spoken"
    assert fleet.stop() == 0


def test_killed_engine_costs_no_job(
    camunda: CamundaClient, camunda_engine: CamundaEngine, name: str, start_fleet: StartFleet, tmp_path: Path
) -> None:
    """It is killed while handlers run, and started again while their outcomes wait."""
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("opened", TEST_LEASE="10m")
    for _ in range(10):
        camunda.create(name)
    wait_running(fleet, f"{name}-work", 10)
    camunda_engine.kill()
    (tmp_path / "open").touch()
    fleet.wait_counted(f"{name}-work", "settling", 10)
    camunda_engine.start()
    camunda.create(name)
    arrived = camunda.take_all(f"{name}-after", 11)
    assert len({job["key"] for job in arrived}) == 11
    counts = fleet.wait_counted(f"{name}-work", "completed", 11)
    assert (counts["failed"], counts["lost"], counts["expired"]) == (0, 0, 0)


def test_engine_that_stops_processing_gets_its_outcomes_later(
    camunda: CamundaClient, camunda_engine: CamundaEngine, name: str, start_fleet: StartFleet, tmp_path: Path
) -> None:
    camunda.deploy("two_tasks", name)
    fleet = start_fleet("opened", TEST_LEASE="10m")
    for _ in range(5):
        camunda.create(name)
    wait_running(fleet, f"{name}-work", 5)
    manage(camunda_engine, "partitions/pauseProcessing")
    try:
        (tmp_path / "open").touch()
        fleet.wait_counted(f"{name}-work", "settling", 5)
    finally:
        manage(camunda_engine, "partitions/resumeProcessing")
    assert len(camunda.take_all(f"{name}-after", 5)) == 5
    counts = fleet.wait_counted(f"{name}-work", "completed", 5)
    assert (counts["failed"], counts["lost"], counts["expired"]) == (0, 0, 0)


def test_engine_whose_clock_is_an_hour_ahead(
    camunda: CamundaClient, camunda_engine: CamundaEngine, name: str, start_fleet: StartFleet, tmp_path: Path
) -> None:
    """Its deadlines lie an hour ahead of the fleet's clock; a lease of 5 s is renewed in time all the same."""
    camunda.deploy("two_tasks", name)
    manage(camunda_engine, "clock/add", {"offsetMilli": HOUR_MS})
    fleet = start_fleet("opened", TEST_LEASE="5s")
    camunda.create(name)
    wait_running(fleet, f"{name}-work", 1)
    assert camunda.activate(f"{name}-work", hold_s=6) == [], "the lease is over"
    (tmp_path / "open").touch()
    camunda.take_all(f"{name}-after", 1)
    counts = fleet.wait_counted(f"{name}-work", "completed")
    assert (counts["failed"], counts["lost"], counts["handed_back"]) == (0, 0, 0)


def test_overloaded_engine_is_yielded_to_and_everything_is_done(
    camunda: CamundaClient, camunda_engine: CamundaEngine, name: str, start_fleet: StartFleet
) -> None:
    """8.6 says so with a 500 whose text alone tells; the polls of many types at once are too much for it."""
    types = 20
    camunda.deploy_text(chain(name, [*(f"{name}-{number}" for number in range(types)), f"{name}-after"]), name)
    manage(camunda_engine, "flowControl", {"request": {"enabled": True, "algorithm": "FIXED", "fixed": {"limit": 1}}})
    try:
        fleet = start_fleet("many", TEST_TYPES=str(types))
        wait_until(lambda: fleet.status()["permits"]["refusals"], "the engine has refused a poll")
    finally:
        manage(camunda_engine, "flowControl", {"request": {"enabled": True, "algorithm": "AIMD"}})
    camunda.create(name)
    (job,) = camunda.take_all(f"{name}-after", 1)
    assert job["variables"] == {"seen": list(range(types))}
    assert fleet.status()["totals"]["failed"] == 0
