"""The engine's own API: adding and inspecting jobs, settings, clock, reset; bad input by name."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from .conftest import Api


def test_keys_of_one_addition_are_consecutive(api: Api) -> None:
    answer = api.post("/local/jobs", {"type": "work", "count": 1_000_000}).json()
    assert answer["count"] == 1_000_000
    assert answer["keys"][1] - answer["keys"][0] == 999_999
    assert api.account()["waiting"] == 1_000_000


def test_jobs_are_listed_by_type_and_state(api: Api) -> None:
    api.add("a", count=3)
    api.add("b c", variables={"x": 1})
    (job,) = api.activate("a", maxJobsToActivate=1)
    api.settle(job["jobKey"], "completion")
    api.activate("a", maxJobsToActivate=1)

    def states(query: str) -> list[str]:
        return [job["state"] for job in api.http.get(f"/local/jobs?{query}").json()["jobs"]]

    assert states("") == ["completed", "activated", "waiting", "waiting"]
    assert states("type=a&state=waiting") == ["waiting"]
    assert states("type=b%20c") == ["waiting"]
    assert states("limit=2") == ["completed", "activated"]
    assert api.http.get("/local/jobs?limit=x").status_code == 400


def test_a_job_is_inspected_wherever_it_stands(api: Api) -> None:
    (key,) = api.add(variables={"x": 1}, retries=5, priority=2)
    assert api.look(key) == {
        "key": key,
        "type": "work",
        "tenant_id": "<default>",
        "state": "waiting",
        "retries": 5,
        "priority": 2,
        "activations": 0,
        "leased": False,
        "worker": None,
        "until": None,
        "variables": {"x": 1},
        "result": None,
        "error_code": None,
        "message": None,
    }
    (job,) = api.activate(worker="w")
    look = api.look(key)
    assert (look["state"], look["worker"], look["activations"], look["until"]) == ("activated", "w", 1, job["deadline"])
    assert api.http.get("/local/jobs/1").status_code == 404
    assert api.http.get("/local/jobs/x").status_code == 404


def test_only_the_last_ended_jobs_are_kept(api: Api) -> None:
    api.settings(history=2)
    keys = api.add(count=3)
    for key in keys:
        api.settle(key, "completion")
    assert [job["key"] for job in api.http.get("/local/jobs").json()["jobs"]] == keys[1:]


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({}, "type"),
        ({"type": ""}, "type"),
        ({"type": 5}, "string"),
        ({"type": "a", "cuont": 1}, "cuont"),
        ({"type": "a", "count": 0}, "count"),
        ({"type": "a", "count": -1}, "u64"),
        ({"type": "a", "retries": 0}, "retries"),
        ({"type": "a", "variables": [1]}, "variables"),
        ({"type": "a", "headers": "x"}, "headers"),
        ({"type": "a", "kind": "NEW"}, "kind"),
    ],
)
def test_impossible_jobs_are_refused_by_name(api: Api, body: dict[str, Any], name: str) -> None:
    answer = api.post("/local/jobs", body)
    assert answer.status_code == 400
    assert name in answer.json()["detail"]
    assert api.account()["created"] == 0


def test_settings_change_one_by_one_and_name_what_is_wrong(api: Api) -> None:
    before = api.http.get("/local/settings").json()
    api.settings(dialect="8.8", max_requests_per_connection=100)
    after = api.http.get("/local/settings").json()
    assert after == before | {"dialect": "8.8", "max_requests_per_connection": 100}
    for change, name in [({"dialekt": "8.6"}, "dialekt"), ({"dialect": "9.9"}, "dialect"), ({"chunked": 1}, "chunked")]:
        answer = api.post("/local/settings", change)
        assert answer.status_code == 400
        assert name in answer.json()["detail"]
    assert api.http.get("/local/settings").json() == after


def test_a_reset_forgets_jobs_account_and_faults_but_never_reuses_keys(api: Api) -> None:
    key = int(api.take())
    api.faults({"fault": "429"})
    assert api.post("/local/reset").status_code == 204
    assert set(api.account().values()) == {0}
    assert api.http.get("/local/faults").json() == {"faults": []}
    assert api.settle(key, "completion").status_code == 404
    assert api.account()["settled_twice"] == 0
    assert api.add()[0] > key


def test_unknown_operations_and_methods_are_told_apart(api: Api) -> None:
    assert api.http.get("/local/nothing").status_code == 404
    assert api.http.delete("/local/jobs").status_code == 405
    assert api.http.post("/account").status_code == 405
    assert api.post("/local/clock", {"advance": 1}).status_code == 400


def test_the_account_adds_up_over_http_and_in_the_class(api: Api) -> None:
    keys = api.add(count=6)
    api.activate()
    api.settle(keys[0], "completion")
    api.settle(keys[1], "failure")
    api.settle(keys[2], "error", {"errorCode": "E"})
    api.settle(keys[3], "failure", {"retries": 3, "errorMessage": "back"})
    api.settle(keys[4], "failure", {"retries": 2, "retryBackOff": 10_000})
    account = api.account()
    assert account == api.http.get("/account").json()
    assert account == {
        "created": 6,
        "completed": 1,
        "failed": 3,
        "errors_thrown": 1,
        "incidents": 1,
        "in_flight": 1,
        "waiting": 2,
        "expired": 0,
        "undelivered": 0,
        "excused": 0,
        "settled_twice": 0,
        "foreign": 0,
        "lost": 0,
        "handed_back": 1,
        "unexplained": 0,
    }


def test_a_lease_that_ends_after_its_worker_is_gone_is_excused(api: Api) -> None:
    api.take()
    api.http.close()
    api.http = type(api.http)(base_url=api.url)
    api.advance(30_000)
    api.advance(30_000)
    account = api.account()
    assert (account["expired"], account["excused"]) == (0, 1)


def test_a_worker_that_only_renews_still_lives(api: Api) -> None:
    """While a fleet drains it polls no more; its renewals show that it is there."""
    with httpx.Client(base_url=api.url, verify=False) as poller:
        api.add()
        ask = {"type": "work", "maxJobsToActivate": 1, "timeout": 10_000, "worker": "w"}
        (job,) = poller.post("/v2/jobs/activation", json=ask).json()["jobs"]
    assert api.update(job["jobKey"], timeout=5_000).status_code == 204
    api.advance(3_000)
    api.advance(2_000)
    account = api.account()
    assert (account["expired"], account["excused"]) == (1, 0)
