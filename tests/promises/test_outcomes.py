"""The promises about what a handler does, row by row. One test for each row of the table."""

from __future__ import annotations

import re
from pathlib import Path

from tests.system.engine import Engine, Json
from tests.system.fleet import Fleet

from .gated import GATE, let_go, wait_started

OPTIONS = ("--processes", "2", "--grace", "5s")

HANDLERS = (
    GATE
    + """
    @handler("returns")
    def returns(job: Job) -> dict:
        return {"done": True}

    @handler("returns-late", lease="1s", hold="100ms", slots=2)
    def returns_late(job: Job) -> dict:
        gate(job)
        return {"done": True}

    @handler("raises")
    def raises(job: Job) -> dict:
        raise ValueError("no such order")

    @handler("says-failure")
    def says_failure(job: Job) -> dict:
        raise JobFailure("the till is closed", retries=7, backoff=120)

    @handler("says-error")
    def says_error(job: Job) -> dict:
        raise JobError("TILL_CLOSED", "come back later", {"till": 4})

    @handler("odd-result")
    def odd_result(job: Job) -> dict:
        return {"basket": [{"price": object()}]}

    @handler("odd-result-may-heal", retry_bad_data=True)
    def odd_result_may_heal(job: Job) -> dict:
        return {"basket": [{"price": object()}]}

    @handler("waits", slots=4)
    def waits(job: Job) -> dict:
        gate(job)
        return {"done": True}

    @handler("returns-much")
    def returns_much(job: Job) -> dict:
        return {"text": "y" * 3_000_000}

    @handler("throws-nothing")
    def throws_nothing(job: Job) -> None:
        error = JobError("SOME_CODE")
        # Only the engine is left to refuse this.
        error.code = " "
        raise error
"""
)

TRANSIENT = ("429", "503", "504", "reset_before", "reset_after")


def pause_ms(fleet: Fleet, job: Json) -> int:
    """How long the engine still keeps a failed job back."""
    return int(job["until"]) - fleet.engine.now_ms()


def test_handler_returns_and_the_job_is_completed_with_retries_on_transient_answers(shared: Fleet) -> None:
    """Row "handler returns": complete, with retries on transient answers until the lease ends."""
    shared.engine.inject(*({"fault": kind, "on": "complete", "count": 1} for kind in TRANSIENT))
    (key,) = shared.engine.push("returns")
    job = shared.engine.wait_job(key, "completed")
    assert (job["variables"], job["activations"], job["retries"]) == ({"done": True}, 1, 3)
    assert [fault["fired"] for fault in shared.engine.clear_faults()] == [1] * len(TRANSIENT)


def test_handler_returns_and_its_completion_is_retried_until_the_lease_ends(shared: Fleet) -> None:
    """Row "handler returns": until the lease ends; then the engine delivers the job again."""
    (key,) = shared.engine.push("returns-late")
    wait_started(shared, key)
    # Nobody takes the job again meanwhile, and its lease is not renewed.
    shared.engine.inject(
        {"fault": "reset_before", "on": ["activate", "update"]},
        {"fault": "reset_before", "on": "complete", "type": "returns-late"},
    )
    let_go(shared, key)
    shared.engine.wait_job(key, "waiting")
    assert shared.engine.clear_faults()[1]["fired"] > 2
    wait_started(shared, key, 2)
    let_go(shared, key, attempt=2)
    assert shared.engine.wait_job(key, "completed")["activations"] == 2


def test_handler_raises_and_the_job_fails_with_type_message_traceback_one_retry_less_and_a_back_off(
    shared: Fleet,
) -> None:
    """Row "handler raises"."""
    first, second = (shared.engine.push("raises", retries=retries)[0] for retries in (3, 2))
    jobs = [shared.engine.wait_failed(key) for key in (first, second)]
    assert [(job["state"], job["retries"]) for job in jobs] == [("backing_off", 2), ("backing_off", 1)]
    told, *frames = jobs[0]["message"].splitlines()
    assert told == "ValueError: no such order"
    assert len(frames) == 1
    assert re.fullmatch(r"  handlers\.py:\d+ in raises: raise ValueError\(.*\)", frames[0])
    # A second and a fifth of it for the first try, twice that for the second one.
    pauses = [pause_ms(shared, job) for job in jobs]
    assert 0 < pauses[0] <= 1200 < pauses[1] <= 2400


def test_job_failure_fails_the_job_exactly_so(shared: Fleet) -> None:
    """Row "`JobFailure(message, retries, backoff)`"."""
    (key,) = shared.engine.push("says-failure", retries=3)
    job = shared.engine.wait_failed(key)
    assert (job["message"], job["retries"], job["state"]) == ("the till is closed", 7, "backing_off")
    assert 60_000 < pause_ms(shared, job) <= 120_000


def test_job_error_throws_a_bpmn_error_with_code_message_and_variables(shared: Fleet) -> None:
    """Row "`JobError(code, message, variables)`"."""
    (key,) = shared.engine.push("says-error")
    job = shared.engine.wait_job(key, "error_thrown")
    assert (job["error_code"], job["message"]) == ("TILL_CLOSED", "come back later")
    assert (job["variables"], job["retries"]) == ({"till": 4}, 3)


def test_result_that_cannot_be_encoded_fails_the_job_naming_the_value_with_no_retries_unless_configured(
    shared: Fleet,
) -> None:
    """Row "result cannot be encoded"."""
    (hopeless,) = shared.engine.push("odd-result")
    (hopeful,) = shared.engine.push("odd-result-may-heal")
    job = shared.engine.wait_job(hopeless, "incident")
    assert "result.basket[0].price is" in job["message"]
    assert (job["retries"], job["activations"]) == (0, 1)
    job = shared.engine.wait_failed(hopeful)
    assert "result.basket[0].price is" in job["message"]
    assert (job["retries"], job["state"]) == (2, "backing_off")


def test_engine_says_not_found_or_invalid_state_and_the_job_is_dropped_and_counted_without_another_request(
    tmp_path: Path,
) -> None:
    """Row "engine answers NOT_FOUND or INVALID_STATE (problem+json) to an outcome"."""
    # It knows no tokens, so that somebody else can command the fleet's jobs.
    engine = Engine(dialect="8.8")
    fleet = Fleet(tmp_path, HANDLERS, engine, *OPTIONS)
    try:
        fleet.wait_running()
        gone, stuck = engine.push("waits", 2)
        for key in (gone, stuck):
            wait_started(fleet, key)
        # The one is no more, and the other one cannot be completed.
        engine.command(gone, "completion", variables={"by": "somebody else"})
        engine.command(stuck, "failure", retries=0, errorMessage="by somebody else")
        engine.inject({"fault": "latency", "latency_ms": 1, "on": ["complete", "fail", "error"]})
        let_go(fleet, gone, stuck)
        status = fleet.wait_status(lambda status: status["totals"]["in_flight"] == 0, "nothing is in flight")
        assert status["totals"]["lost"] == 2
        assert [fault["seen"] for fault in engine.clear_faults()] == [2]
        assert engine.job(gone)["variables"] == {"by": "somebody else"}
        assert (engine.job(stuck)["state"], engine.job(stuck)["message"]) == ("incident", "by somebody else")
        assert fleet.stop() == 0
    finally:
        fleet.close()
        engine.close()


def test_engine_rejects_an_outcome_for_good_and_the_job_fails_with_no_retries_and_its_words(shared: Fleet) -> None:
    """Row "engine rejects an outcome for good (400, too large)"."""
    (large,) = shared.engine.push("returns-much")
    (refused,) = shared.engine.push("throws-nothing")
    for key, said in ((large, "500 EXCEEDED_BATCH_RECORD_SIZE"), (refused, "400 INVALID_ARGUMENT")):
        job = shared.engine.wait_job(key, "incident")
        assert "the engine refused the handler's " in job["message"]
        assert said in job["message"]
        assert (job["retries"], job["activations"]) == (0, 1)
        told = shared.wait_for(lambda record, key=key: record.get("key") == key and "rejects" in record["message"])
        assert told["level"] == "warning"
