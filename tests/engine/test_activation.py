"""Activation: what is given out, in which order, and what the answer says."""

from __future__ import annotations

import pytest

from .conftest import Api


def test_jobs_come_in_the_order_they_were_added(api: Api) -> None:
    keys = api.add(count=5)
    got = [int(job["jobKey"]) for job in api.activate(maxJobsToActivate=3)]
    assert got == keys[:3]
    assert [int(job["jobKey"]) for job in api.activate()] == keys[3:]


def test_a_job_that_comes_back_is_given_out_before_younger_ones(api: Api) -> None:
    keys = api.add(count=3)
    api.activate(maxJobsToActivate=1)
    api.settle(keys[0], "failure", {"retries": 3})
    assert [int(job["jobKey"]) for job in api.activate()] == keys


def test_higher_priority_comes_first(api: Api) -> None:
    (low,) = api.add(priority=1)
    (high,) = api.add(priority=9)
    (raised,) = api.add(priority=0)
    assert api.update(raised, priority=20).status_code == 204
    assert [int(job["jobKey"]) for job in api.activate()] == [raised, high, low]
    assert [job["priority"] for job in api.http.get("/local/jobs").json()["jobs"]] == [1, 9, 20]


def test_types_do_not_mix(api: Api) -> None:
    api.add("a")
    assert api.activate("b") == []
    assert len(api.activate("a")) == 1


def test_only_declared_variables_are_fetched(api: Api) -> None:
    api.add(variables={"a": 1, "b": {"c": [1, 2]}, "d": None})
    (job,) = api.activate(fetchVariable=["b", "nope"])
    assert job["variables"] == {"b": {"c": [1, 2]}}


def test_variables_and_headers_come_back_as_they_were_sent(api: Api) -> None:
    raw = (
        b'{"type":"work","variables":{"n":123456789012345678901,"f":1.0,"e":1e300,"u":"\xc3\xa9\\u0000"},'
        b'"headers":{"h1":"v1"}}'
    )
    answer = api.http.post("/local/jobs", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code == 200
    text = api.ask().content
    assert b'{"n":123456789012345678901,"f":1.0,"e":1e300,"u":"\xc3\xa9\\u0000"}' in text
    assert b'"customHeaders":{"h1":"v1"}' in text


def test_a_lease_ends_and_the_job_is_delivered_again_with_its_retries(api: Api) -> None:
    key = api.take(timeout=5_000)
    api.advance(4_000)
    assert api.activate() == []
    api.advance(1_000)
    (job,) = api.activate(worker="other")
    assert (job["jobKey"], job["retries"], job["worker"]) == (key, 3, "other")
    assert api.account()["expired"] == 1


def test_a_short_lease_ends_by_itself_in_real_time(api: Api) -> None:
    key = api.take(timeout=20)
    (job,) = api.activate(requestTimeout=9_000)
    assert job["jobKey"] == key


def test_the_deadline_is_engine_time_plus_the_lease(api: Api) -> None:
    api.advance(3_600_000)
    before = api.http.get("/local/clock").json()["now"]
    api.add()
    (job,) = api.activate(timeout=7_000)
    after = api.http.get("/local/clock").json()["now"]
    assert before + 7_000 <= job["deadline"] <= after + 7_000


@pytest.mark.parametrize("missing", ["type", "timeout", "maxJobsToActivate"])
def test_a_missing_field_is_refused_by_name(api: Api, missing: str) -> None:
    body = {"type": "work", "maxJobsToActivate": 1, "timeout": 1}
    del body[missing]
    answer = api.post("/v2/jobs/activation", body)
    assert (answer.status_code, answer.json()["title"]) == (400, "INVALID_ARGUMENT")
    assert missing in answer.json()["detail"]


def test_several_wrong_fields_come_in_one_answer(api: Api) -> None:
    detail = api.ask(type=" ", timeout=0, maxJobsToActivate=-1).json()["detail"]
    assert all(name in detail for name in ["type", "timeout", "maxJobsToActivate"])


def test_an_answer_is_cut_short_where_it_would_grow_too_large(api: Api) -> None:
    api.settings(max_answer_bytes=25_000)
    api.add(count=4, variables={"x": "y" * 10_000})
    assert len(api.activate()) == 2
    assert len(api.activate()) == 2


def test_a_job_that_fits_into_no_answer_becomes_an_incident(api: Api) -> None:
    api.settings(max_answer_bytes=5_000)
    (big,) = api.add(variables={"x": "y" * 10_000})
    (small,) = api.add()
    assert [int(job["jobKey"]) for job in api.activate()] == [small]
    assert api.look(big)["state"] == "incident"


def test_tenants_are_drawn_from_where_multi_tenancy_is_on(api: Api) -> None:
    api.settings(multi_tenancy=True)
    (red,) = api.add(tenant_id="red")
    (blue,) = api.add(tenant_id="blue")
    assert api.ask().status_code == 400
    assert [int(job["jobKey"]) for job in api.activate(tenantIds=["blue"])] == [blue]
    (job,) = api.activate(tenantFilter="ASSIGNED")
    assert (int(job["jobKey"]), job["tenantId"]) == (red, "red")


def test_a_tenant_without_multi_tenancy_is_refused_but_not_by_the_old_dialect(api: Api, old: Api) -> None:
    assert api.ask(tenantIds=["red"]).status_code == 400
    assert api.ask(tenantIds=["<default>"]).status_code == 200
    old.add()
    assert old.activate(tenantIds=["red"]) == []


def test_an_endless_type_makes_jobs_up_until_it_is_ended(api: Api) -> None:
    assert api.post("/local/endless", {"type": "noop", "variables": {"x": 1}}).status_code == 204
    jobs = api.activate("noop", maxJobsToActivate=500) + api.activate("noop", maxJobsToActivate=500)
    assert len({job["jobKey"] for job in jobs}) == 1_000
    assert jobs[-1]["variables"] == {"x": 1}
    assert api.account()["created"] == 1_000
    assert api.http.delete("/local/endless/noop").status_code == 204
    assert api.activate("noop") == []
    assert api.http.delete("/local/endless/noop").status_code == 404
