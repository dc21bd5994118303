"""Fencing with lease tokens, as 8.10 does it."""

from __future__ import annotations

from typing import Any

from .conftest import Api


def lease(api: Api, **fields: Any) -> tuple[str, dict[str, str]]:
    api.add()
    (job,) = api.activate(withLease=True, **fields)
    return job["jobKey"], {"jobLeaseToken": job["jobLeaseToken"]}


def test_each_activation_has_a_token_of_its_own(api: Api) -> None:
    key, first = lease(api)
    api.settle(key, "failure", {"retries": 3, "errorMessage": "back"} | first)
    second = api.activate(withLease=True)[0]["jobLeaseToken"]
    assert first["jobLeaseToken"] != second


def test_outcomes_need_the_current_token(api: Api) -> None:
    outcomes: list[tuple[str, dict[str, Any]]] = [
        ("completion", {}),
        ("failure", {"retries": 1}),
        ("error", {"errorCode": "E"}),
    ]
    for verb, body in outcomes:
        key, token = lease(api)
        for wrong in ["made up", None, ""]:
            answer = api.settle(key, verb, body | ({"jobLeaseToken": wrong} if wrong != "" else {}))
            assert (answer.status_code, answer.json()["title"]) == (409, "INVALID_STATE")
        assert api.settle(key, verb, body | token).status_code == 204
        api.post("/local/reset")


def test_a_superseded_holder_is_fenced_off(api: Api) -> None:
    key, stale = lease(api, timeout=1_000)
    api.advance(1_000)
    (job,) = api.activate(withLease=True)
    assert api.settle(key, "completion", stale).status_code == 409
    assert api.settle(key, "completion", {"jobLeaseToken": job["jobLeaseToken"]}).status_code == 204
    account = api.account()
    assert (account["foreign"], account["completed"], account["settled_twice"]) == (1, 1, 0)


def test_a_renewal_checks_the_token_only_if_there_is_one(api: Api) -> None:
    key, _ = lease(api)
    changes = {"changeset": {"timeout": 5_000}}
    assert api.http.patch(f"/v2/jobs/{key}", json=changes).status_code == 204
    assert api.http.patch(f"/v2/jobs/{key}", json=changes | {"jobLeaseToken": "made up"}).status_code == 409


def test_a_job_once_leased_is_skipped_by_polls_without_a_lease(api: Api) -> None:
    key, token = lease(api)
    api.settle(key, "failure", {"retries": 3, "errorMessage": "back"} | token)
    (other,) = api.add()
    assert [int(job["jobKey"]) for job in api.activate()] == [other]
    assert api.activate(withLease=True)[0]["jobKey"] == key


def test_servers_before_the_release_call_it_lease_token(api: Api) -> None:
    api.settings(lease_member="leaseToken")
    api.add()
    (job,) = api.activate(withLease=True)
    assert "jobLeaseToken" not in job
    assert api.settle(job["jobKey"], "completion", {"jobLeaseToken": job["leaseToken"]}).status_code == 400
    assert api.settle(job["jobKey"], "completion", {"leaseToken": job["leaseToken"]}).status_code == 204


def test_a_server_without_leases_gives_no_token(old: Api) -> None:
    old.add()
    (job,) = old.activate(withLease=True)
    assert "jobLeaseToken" not in job
    assert old.settle(job["key"], "completion", {"jobLeaseToken": "whatever"}).status_code == 204
