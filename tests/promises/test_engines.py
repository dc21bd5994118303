"""The promises about an engine that is away, hidden, overworked or odd. One test for each row of the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.camunda.waiting import wait_until
from tests.supervisor.running import DEADLINE_S
from tests.system.conftest import StartFleet
from tests.system.engine import Engine
from tests.system.fleet import Fleet
from tests.system.proxy import Proxy

from .gated import GATE, let_go, wait_started

HANDLERS = (
    GATE
    + """
    @handler("completes", slots=4)
    def completes(job: Job) -> dict:
        gate(job)
        return {"done": True}

    @handler("fails", slots=4)
    def fails(job: Job) -> dict:
        gate(job)
        raise JobFailure("no", retries=0)

    @handler("throws", slots=4)
    def throws(job: Job) -> dict:
        gate(job)
        raise JobError("REFUSED", "no")

    @handler("noop")
    def noop(job: Job) -> dict:
        return {"retries": job.retries}
"""
)
# The more types ask, the sooner the engine has refused often enough.
MANY = (
    HANDLERS
    + """
    for number in range(12):
        handler(f"noop-{number}")(noop)
"""
)
ENDS = {"completes": "completed", "fails": "incident", "throws": "error_thrown"}


@pytest.fixture
def proxy(engine: Engine) -> Iterator[Proxy]:
    """A proxy in front of the engine that passes on."""
    proxy = Proxy(engine.port)
    yield proxy
    proxy.leave()


def running_jobs(fleet: Fleet) -> list[str]:
    """One job of each kind of outcome, running."""
    keys = [fleet.engine.push(job_type)[0] for job_type in ENDS]
    for key in keys:
        wait_started(fleet, key)
    return keys


def assert_outcomes_arrive(fleet: Fleet, keys: list[str]) -> None:
    """Every outcome is delivered, for the first activation, and the fleet is well again."""
    for key, state in zip(keys, ENDS.values(), strict=True):
        assert fleet.engine.wait_job(key, state)["activations"] == 1
    wait_until(lambda: fleet.readiness()[0] == 200, "the fleet is ready", DEADLINE_S)
    assert len([record for record in fleet.records if record.get("engine") == "down"]) == 1


@pytest.mark.parametrize("status", ["200 OK", "404 Not Found", "502 Bad Gateway"])
def test_path_answers_404_or_html_and_outcomes_are_retried_while_the_fleet_is_unhealthy_and_loud(
    run_fleet: StartFleet, engine: Engine, proxy: Proxy, status: str
) -> None:
    """Row "path answers 404 or HTML without being the engine"."""
    fleet = run_fleet(HANDLERS, "--processes", "1", address=proxy.address).wait_running()
    keys = running_jobs(fleet)
    proxy.answer(status)
    told = fleet.wait_for(lambda record: record.get("engine") == "down")
    assert told["level"] == "warning"
    assert fleet.readiness() == (503, "the engine is down\n")
    before = proxy.pages
    let_go(fleet, *keys)
    wait_until(lambda: proxy.pages >= before + 6, "every outcome has been tried twice", DEADLINE_S)
    proxy.pass_on()
    assert_outcomes_arrive(fleet, keys)
    assert fleet.stop() == 0


def test_engine_is_down_and_outcomes_wait_until_it_is_back(run_fleet: StartFleet, engine: Engine, proxy: Proxy) -> None:
    """Row "engine is down or pushes back": down."""
    fleet = run_fleet(HANDLERS, "--processes", "2", address=proxy.address).wait_running()
    keys = running_jobs(fleet)
    proxy.leave()
    fleet.wait_for(lambda record: record.get("engine") == "down")
    let_go(fleet, *keys)
    fleet.wait_status(lambda status: status["totals"]["running"] == 0, "every handler has returned")
    assert fleet.status()["totals"]["in_flight"] == 3
    proxy.pass_on()
    assert_outcomes_arrive(fleet, keys)
    assert fleet.stop() == 0


def test_engine_pushes_back_and_outcomes_are_retried_while_activation_shrinks_to_a_floor_that_probes(
    run_fleet: StartFleet, engine: Engine
) -> None:
    """Rows "engine is down or pushes back": pushes back; and "a permit stays at the floor"."""
    # Polls that are held already are not refused.
    fleet = run_fleet(MANY, "--processes", "1", environ={"JOBFLEET_ENGINE_HOLD": "200ms"}).wait_running()
    keys = running_jobs(fleet)
    engine.inject({"fault": "backpressure", "on": "any"})
    let_go(fleet, *keys)

    def is_at_the_floor(status: dict[str, dict[str, object]]) -> bool:
        return status["permits"]["cap"] == 1 and status["permits"]["state"] == "severe"

    status = fleet.wait_status(is_at_the_floor, "permits are at the floor")
    assert status["totals"]["in_flight"] == 3
    (late,) = engine.push("noop")
    engine.inject({"fault": "backpressure", "on": "activate"})
    for key, state in zip(keys, ENDS.values(), strict=True):
        assert engine.wait_job(key, state)["activations"] == 1
    # Nothing but the fleet's own probes can tell it that the bad minute is over.
    wait_until(lambda: engine.faults()[0]["fired"], "it probes", DEADLINE_S)
    assert is_at_the_floor(fleet.status())
    engine.clear_faults()
    engine.wait_job(late, "completed")
    assert fleet.stop() == 0


def spoil(answer: bytes) -> bytes:
    """Spoil one job so that its worker cannot read it, another one so that nobody can, and all a little."""
    jobs = answer.replace(b'"tenantId":"<default>"', b'"tenantID":{"new":{}} ').split(b"},{")
    jobs = [job.replace(b'"jobKey":"2', b'"jobKey":"x') if b'"retries":43' in job else job for job in jobs]
    answer = b"},{".join(jobs).replace(b'"retries":41', b'"retries":xx')
    return answer.replace(b'"BPMN_ELEMENT"', b'"NEW_ELEMENTS"')


def test_poison_in_the_answer_never_costs_the_rest_of_the_batch(run_fleet: StartFleet, engine: Engine) -> None:
    """Row "poison in the answer"."""
    proxy = Proxy(engine.port, spoil)
    try:
        fleet = run_fleet(HANDLERS, "--processes", "1", address=proxy.address).wait_running()
        fleet.post("/v1/pools/default/pause")
        engine.wait_unasked()
        pushed = {retries: engine.push("noop", 3, retries=retries) for retries in (5, 41, 43, 7)}
        fleet.post("/v1/pools/default/resume")
        for retries in (5, 7):
            for key in pushed[retries]:
                job = engine.wait_job(key, "completed")
                assert (job["activations"], job["variables"]) == (1, {"retries": retries})
        for key in pushed[41]:
            assert "the job is not valid JSON" in engine.wait_failed(key)["message"]
        assert {engine.job(key)["state"] for key in pushed[43]} == {"activated"}
        assert fleet.stop() == 0
    finally:
        proxy.leave()
