"""PATCH: renewals and other changes, by the rules measured on a real engine."""

from __future__ import annotations

from .conftest import Api


def test_a_renewal_counts_from_now(api: Api) -> None:
    key = api.take(timeout=1_000)
    api.advance(900)
    assert api.update(key, timeout=5_000).status_code == 204
    api.advance(4_900)
    assert api.look(key)["state"] == "activated"
    api.advance(100)
    assert api.look(key)["state"] == "waiting"


def test_a_lease_can_be_shortened_and_ended(api: Api) -> None:
    key = api.take(timeout=60_000)
    api.update(key, timeout=1_000)
    api.advance(1_000)
    assert api.look(key)["state"] == "waiting"
    for timeout in [0, -5]:
        api.activate()
        assert api.update(key, timeout=timeout).status_code == 204
        assert api.activate(requestTimeout=5_000)[0]["jobKey"] == key
        api.settle(key, "failure", {"retries": 3, "errorMessage": "back"})


def test_a_renewal_of_a_job_that_is_not_active_is_refused(api: Api, old: Api) -> None:
    key = old.add()[0]
    answer = old.update(key, timeout=1_000)
    assert (answer.status_code, answer.json()["title"]) == (400, "INVALID_ARGUMENT")
    assert "is not active" in answer.json()["detail"]
    key = api.add()[0]
    assert api.update(key, timeout=1_000).status_code == 409


def test_retries_must_be_positive_and_survive_an_incident(api: Api) -> None:
    key = api.take()
    assert api.update(key, retries=0).status_code == 400
    assert api.update(key, retries=9).status_code == 204
    assert api.look(key)["retries"] == 9
    api.settle(key, "failure")
    assert api.update(key, retries=1).status_code == 204
    assert api.look(key)["state"] == "incident"


def test_a_changeset_must_change_something(api: Api, old: Api) -> None:
    for engine in (api, old):
        key = engine.take()
        assert engine.update(key).status_code == 400
        assert engine.http.patch(f"/v2/jobs/{key}", json={}).status_code == 400
        assert engine.update(key, unknown=1).status_code == 400
    assert old.update(old.take(), priority=1).status_code == 400, "unknown to 8.6: nothing is left to change"
