"""Fault injection: what the client sees, what took effect, and what the account says about it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from .conftest import DEADLINE_S, Api

IMPATIENT = httpx.Timeout(DEADLINE_S, read=0.1)

COMMANDS: list[tuple[str, str, dict[str, Any]]] = [
    ("complete", "completion", {}),
    ("fail", "failure", {"retries": 2}),
    ("error", "error", {"errorCode": "E"}),
]


@pytest.mark.parametrize(
    ("fault", "status", "title", "closes"),
    [
        ("429", 429, "RESOURCE_EXHAUSTED", False),
        ("503", 503, "RESOURCE_EXHAUSTED", True),
        ("500", 500, "java.lang.RuntimeException", True),
        ("500_record_size", 500, "EXCEEDED_BATCH_RECORD_SIZE", True),
        ("503_partition", 503, "io.camunda.zeebe.broker.client.api.PartitionNotFoundException", True),
        ("403", 403, "FORBIDDEN", False),
        ("504", 504, "DEADLINE_EXCEEDED", False),
    ],
)
def test_a_refusal_is_a_problem_without_an_effect(api: Api, fault: str, status: int, title: str, closes: bool) -> None:
    key = api.take()
    api.faults({"fault": fault, "on": "complete"})
    answer = api.settle(key, "completion")
    assert (answer.status_code, answer.json()["title"]) == (status, title)
    assert (answer.headers.get("connection") == "close") == closes
    assert api.look(key)["state"] == "activated"


def test_the_500_of_8_6_says_resource_exhausted_in_its_detail_only(api: Api) -> None:
    api.faults({"fault": "500"})
    body = api.ask().json()
    assert "RESOURCE_EXHAUSTED" in body["detail"]
    assert "RESOURCE_EXHAUSTED" not in body["title"]


def test_backpressure_is_encoded_as_the_dialect_does(api: Api, old: Api) -> None:
    for engine in (api, old):
        engine.faults({"fault": "backpressure"})
    key = (1 << 51) + 1
    assert [api.ask().status_code, api.settle(key, "completion").status_code] == [503, 503]
    assert [old.ask().status_code, old.settle(key, "completion").status_code] == [500, 429]


def test_refusals_that_are_no_problems(api: Api) -> None:
    answers = {}
    for fault in ["503_bare", "404_html", "502_html", "401"]:
        api.faults({"fault": fault})
        answers[fault] = api.ask()
    assert (answers["503_bare"].status_code, answers["503_bare"].content) == (503, b"")
    for fault in ["404_html", "502_html"]:
        assert answers[fault].headers["content-type"] == "text/html"
        assert str(answers[fault].status_code) in answers[fault].text
    assert answers["401"].headers["www-authenticate"].startswith("Basic")
    assert "title" not in answers["401"].json()


@pytest.mark.parametrize(("target", "verb", "body"), COMMANDS)
def test_a_reset_before_has_no_effect_and_one_after_has(api: Api, target: str, verb: str, body: dict[str, Any]) -> None:
    key = api.take()
    api.faults({"fault": "reset_before", "on": target, "count": 1}, {"fault": "reset_after", "on": target, "count": 1})
    with pytest.raises(httpx.ReadError):
        api.settle(key, verb, body)
    assert api.look(key)["state"] == "activated"
    with pytest.raises(httpx.ReadError):
        api.settle(key, verb, body)
    assert api.look(key)["state"] != "activated"
    api.settle(key, verb, body)
    assert api.account()["settled_twice"] == 0, "the first answer never came"


def test_a_reset_is_a_reset_and_no_orderly_end(api: Api) -> None:
    api.faults({"fault": "reset_before"})
    with pytest.raises(httpx.ReadError) as caught:
        api.ask()
    causes = []
    error: BaseException | None = caught.value
    while error is not None:
        causes.append(error)
        error = error.__cause__ or error.__context__
    assert any(isinstance(cause, ConnectionResetError) for cause in causes)


def test_a_repeated_failure_without_back_off_hits_the_next_holder_without_fencing(old: Api) -> None:
    """The hazard of hand-backs: the answer is lost, another worker gets the job, the repeat takes it away."""
    key = old.take(worker="first")
    old.faults({"fault": "reset_after", "on": "fail", "count": 1})
    with pytest.raises(httpx.ReadError):
        old.settle(key, "failure", {"retries": 3, "errorMessage": "back"})
    old.activate(worker="second")
    assert old.settle(key, "failure", {"retries": 3, "errorMessage": "back"}).status_code == 204
    assert old.look(key)["state"] == "waiting"


def test_an_activation_cut_off_after_its_effect_is_undelivered(old: Api, api: Api) -> None:
    for engine, state in [(old, "activated"), (api, "waiting")]:
        (key, _) = engine.add(count=2)
        engine.faults({"fault": "reset_after", "on": "activate", "count": 1})
        with pytest.raises(httpx.ReadError):
            engine.ask()
        account = engine.until(lambda account: account["undelivered"] == 2)
        assert engine.look(key)["state"] == state, "newer servers notice and give the jobs back"
        engine.advance(60_000)
        assert engine.account() | {"expired": 0, "excused": 0} == engine.account()
        assert account["created"] == 2


def test_a_truncated_body_breaks_off_before_its_length(api: Api, old: Api) -> None:
    for engine in (api, old):
        (key,) = engine.add(variables={"x": "y" * 10_000})
        engine.faults({"fault": "truncate", "on": "activate"})
        with engine.http.stream("POST", "/v2/jobs/activation", json=body(engine)) as answer:
            assert answer.status_code == 200
            received: list[bytes] = []
            with pytest.raises(httpx.RemoteProtocolError):
                received.extend(answer.iter_raw())
        assert b'"x":"yyy' in b"".join(received)
        assert engine.look(key)["state"] == "activated"
        engine.until(lambda account: account["undelivered"] == 1)


def test_cut_json_is_a_whole_message_with_half_a_document(api: Api) -> None:
    api.add()
    api.faults({"fault": "cut_json", "on": "activate"})
    answer = api.ask()
    assert (answer.status_code, int(answer.headers["content-length"])) == (200, len(answer.content))
    with pytest.raises(json.JSONDecodeError):
        answer.json()
    assert api.account()["undelivered"] == 1


@pytest.mark.parametrize(("fault", "state"), [("hang_before", "activated"), ("hang_after", "completed")])
def test_a_hanging_request_is_accepted_and_never_answered(api: Api, fault: str, state: str) -> None:
    key = api.take()
    api.faults({"fault": fault, "on": "complete", "count": 1})
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"/v2/jobs/{key}/completion", {}, timeout=IMPATIENT)
    api.until_state(key, state)
    assert [fault["fired"] for fault in api.http.get("/local/faults").json()["faults"]] == [1]
    api.settle(key, "completion")
    assert api.look(key)["state"] == "completed"
    assert api.account()["settled_twice"] == 0


def test_latency_delays_the_answer_not_the_effect(api: Api) -> None:
    key = api.take()
    api.faults({"fault": "latency", "latency_ms": 60_000, "on": "complete", "count": 1})
    with pytest.raises(httpx.ReadTimeout):
        api.post(f"/v2/jobs/{key}/completion", {}, timeout=IMPATIENT)
    api.until_state(key, "completed")
    api.until(lambda account: account["completed"] == 1)


def test_latency_with_jitter_lies_within_its_bounds(api: Api) -> None:
    api.faults({"fault": "latency", "latency_ms": 20, "jitter_ms": 10})
    assert api.ask().elapsed.total_seconds() >= 0.02


def test_a_limit_refuses_what_is_beyond_it(api: Api) -> None:
    # Long enough for all of them to come while the first ones wait, on a busy host too.
    api.faults({"fault": "latency", "latency_ms": 2_000}, {"fault": "limit", "concurrent": 3, "answer": "429"})

    async def burst() -> list[int]:
        async with httpx.AsyncClient(base_url=api.url, timeout=DEADLINE_S) as client:
            calls = [client.post("/v2/jobs/activation", json=body(api)) for _ in range(10)]
            return sorted(answer.status_code for answer in await asyncio.gather(*calls))

    assert asyncio.run(burst()) == [200] * 3 + [429] * 7


def test_held_polls_do_not_count_against_a_limit(api: Api) -> None:
    api.faults({"fault": "latency", "latency_ms": 1}, {"fault": "limit", "concurrent": 1})

    async def burst() -> list[int]:
        async with httpx.AsyncClient(base_url=api.url, timeout=DEADLINE_S) as client:
            polls = []
            for number in range(5):
                polls.append(asyncio.ensure_future(client.post("/v2/jobs/activation", json=body(api, 60_000))))
                while (await client.get("/local/polls")).json()["held"] <= number:
                    pass
            await client.post("/local/jobs", json={"type": "work", "count": 50})
            return [(await poll).status_code for poll in polls]

    assert asyncio.run(burst()) == [200] * 5


def test_faults_concern_the_requests_and_the_type_they_name(api: Api) -> None:
    api.faults({"fault": "503", "on": ["complete", "fail"], "type": "a"})
    api.add("a")
    api.add("b")
    (first,) = api.activate("a")
    (second,) = api.activate("b")
    assert api.settle(second["jobKey"], "completion").status_code == 204
    assert api.settle(first["jobKey"], "completion").status_code == 503
    assert api.settle(first["jobKey"], "failure").status_code == 503
    assert api.settle(first["jobKey"], "error", {"errorCode": "E"}).status_code == 204


def test_counts_and_skips_and_their_report(api: Api) -> None:
    api.faults({"fault": "429", "on": "activate", "skip": 1, "count": 2})
    assert [api.ask().status_code for _ in range(5)] == [200, 429, 429, 200, 200]
    (report,) = api.http.get("/local/faults").json()["faults"]
    assert (report["fault"], report["fired"]) == ("429", 2)
    assert api.http.delete("/local/faults").status_code == 204
    assert api.http.get("/local/faults").json() == {"faults": []}


def test_the_same_seed_draws_the_same_faults(api: Api) -> None:
    def run(seed: int) -> list[int]:
        fault = {"fault": "429", "on": "activate", "probability": 0.5}
        assert api.post("/local/faults", {"seed": seed, "faults": [fault]}).status_code == 200
        return [api.ask().status_code for _ in range(40)]

    first = run(1)
    assert {200, 429} == set(first)
    assert run(1) == first
    assert run(2) != first


def test_the_admin_paths_are_spared(api: Api) -> None:
    api.faults({"fault": "reset_before"})
    assert api.http.get("/account").status_code == 200
    assert api.http.get("/local/faults").status_code == 200


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ({"fault": "nope"}, "nope"),
        ({"fault": "503", "propability": 1}, "propability"),
        ({"fault": "503", "probability": 2}, "probability"),
        ({"fault": "503", "on": "nothing"}, "on"),
        ({"fault": "503", "on": []}, "on"),
        ({"fault": "latency"}, "latency_ms"),
        ({"fault": "limit"}, "concurrent"),
        ({"fault": "limit", "concurrent": 1, "answer": "latency"}, "answer"),
        ({}, "fault"),
    ],
)
def test_an_impossible_fault_is_refused_by_name(api: Api, fault: dict[str, Any], name: str) -> None:
    answer = api.post("/local/faults", {"faults": [fault]})
    assert answer.status_code == 400
    assert name in answer.json()["detail"]


def body(api: Api, request_timeout: int = -1) -> dict[str, Any]:
    return {
        "type": "work",
        "maxJobsToActivate": 10,
        "timeout": 60_000,
        "worker": "w",
        "requestTimeout": request_timeout,
    }
