"""What the dialects differ in, and a change of dialect under way."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from .conftest import Api

FIELDS_8_6 = [
    "key",
    "type",
    "processInstanceKey",
    "processDefinitionId",
    "processDefinitionVersion",
    "processDefinitionKey",
    "elementId",
    "elementInstanceKey",
    "customHeaders",
    "worker",
    "retries",
    "deadline",
    "variables",
    "tenantId",
]
FIELDS_8_8 = ["kind", "listenerEventType", "userTask", "tags"]
FIELDS_8_10 = ["rootProcessInstanceKey", "priority", "businessId", "physicalTenantId", "jobLeaseToken"]


def one(api: Api, **fields: Any) -> dict[str, Any]:
    api.add()
    (job,) = api.activate(**fields)
    return job


def test_the_old_dialect_has_numbers_as_keys_and_the_fields_of_its_time_in_their_order(old: Api) -> None:
    job = one(old)
    assert list(job) == FIELDS_8_6
    keys = [value for name, value in job.items() if name.lower().endswith("key")]
    assert len(keys) == 4
    assert all(isinstance(key, int) for key in keys)


def test_newer_dialects_have_strings_as_keys_and_more_fields(start: Callable[..., Api]) -> None:
    middle = one(start(dialect="8.8"))
    newest = one(start(dialect="8.10"))
    assert set(middle) == {"jobKey", *FIELDS_8_6[1:], *FIELDS_8_8}
    assert set(newest) == set(middle) | set(FIELDS_8_10)
    for job in (middle, newest):
        assert all(isinstance(value, str) for name, value in job.items() if name.lower().endswith("key"))
    assert newest["jobLeaseToken"] is None


def test_listener_jobs_carry_what_they_were_added_with(api: Api) -> None:
    task = {"action": "complete", "assignee": "me", "candidateGroups": [], "priority": 50}
    api.add(
        kind="TASK_LISTENER",
        listener_event_type="COMPLETING",
        user_task=task,
        tags=["a", "b"],
        business_id="order-7",
        process_id="p",
        element_id="e",
    )
    (job,) = api.activate()
    assert (job["kind"], job["listenerEventType"], job["userTask"]) == ("TASK_LISTENER", "COMPLETING", task)
    assert (job["tags"], job["businessId"]) == (["a", "b"], "order-7")
    assert (job["processDefinitionId"], job["elementId"]) == ("p", "e")


def test_unknown_request_fields_are_ignored_by_the_old_dialect_only(start: Callable[..., Api]) -> None:
    for dialect, activation, settling in [("8.6", 200, 204), ("8.8", 400, 400), ("8.10", 400, 400)]:
        api = start(dialect=dialect)
        key = api.take()
        assert api.ask(unknown=1).status_code == activation
        answer = api.settle(key, "completion", {"unknown": 1})
        assert answer.status_code == settling
        if settling == 400:
            assert "unknown" in answer.json()["detail"]


@pytest.mark.parametrize(("dialect", "status"), [("8.6", 200), ("8.8", 400), ("8.10", 200)])
def test_newer_request_fields_are_known_since_their_release(
    start: Callable[..., Api], dialect: str, status: int
) -> None:
    api = start(dialect=dialect)
    assert api.ask(withLease=True).status_code == status
    assert api.ask(tenantFilter="PROVIDED").status_code == status


def test_the_old_dialect_forgives_wrong_types(old: Api, api: Api) -> None:
    lenient: dict[str, Any] = {"timeout": "60000", "maxJobsToActivate": 2.7, "worker": 5}
    old.add(count=3)
    jobs = old.activate(**lenient)
    assert [job["worker"] for job in jobs] == ["5", "5"]
    for name, value in lenient.items():
        assert api.ask(**{name: value}).status_code == 400, name
    assert old.ask(maxJobsToActivate=1 << 31).status_code == 400


def test_keys_of_other_partitions_are_unavailable_rather_than_unknown(old: Api, api: Api) -> None:
    answer = old.settle(12345, "completion")
    assert answer.status_code == 503
    assert answer.json()["title"].endswith("PartitionNotFoundException")
    assert answer.headers["connection"] == "close"
    assert api.settle(12345, "completion").status_code == 503


def test_a_key_that_is_no_number_is_a_bad_request(api: Api, old: Api) -> None:
    for engine in (api, old):
        answer = engine.settle("abc", "completion")
        assert (answer.status_code, answer.json()["title"]) == (400, "Bad Request")


def test_router_errors_of_the_old_dialect_are_no_problems(old: Api, api: Api) -> None:
    calls: list[tuple[str, str, dict[str, Any]]] = [
        ("GET", "/v2/nothing", {}),
        ("GET", "/v2/jobs/activation", {}),
        ("POST", "/v2/jobs/activation", {"content": b"x=1", "headers": {"content-type": "text/plain"}}),
        ("GET", "/v2/topology", {"headers": {"accept": "application/vnd.camunda.api.keys.string+json"}}),
    ]
    for (method, path, more), status in zip(calls, [404, 405, 415, 406], strict=True):
        answer = old.http.request(method, path, **more)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/json")
        assert set(answer.json()) == {"timestamp", "status", "error", "path"}
    answer = api.http.get("/v2/nothing")
    assert (answer.status_code, answer.json()["title"]) == (404, "Not Found"), "not the engine's NOT_FOUND"


def test_topology_tells_the_version_and_status_is_newer_than_8_6(start: Callable[..., Api]) -> None:
    for dialect, status in [("8.6", 404), ("8.8", 204), ("8.10", 204)]:
        api = start(dialect=dialect)
        topology = api.http.get("/v2/topology").json()
        assert topology["gatewayVersion"].startswith(f"{dialect}.")
        assert topology["brokers"][0]["partitions"][0]["role"] == "leader"
        assert api.http.get("/v2/status").status_code == status


def test_old_bodies_are_chunked_and_their_status_has_no_reason(old: Api, api: Api) -> None:
    old.add()
    answer = old.ask()
    assert answer.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in answer.headers
    assert answer.reason_phrase == ""
    settled = old.settle(answer.json()["jobs"][0]["key"], "completion")
    assert "transfer-encoding" not in settled.headers
    assert "content-length" in api.ask().headers


def test_an_upgrade_in_flight_keeps_the_jobs_and_changes_the_shape(old: Api) -> None:
    first = old.take()
    old.add()
    old.settings(dialect="8.10")
    (job,) = old.activate(withLease=True)
    assert "key" not in job
    assert old.settle(first, "completion").status_code == 204, "activated before the upgrade, without a token"
    assert old.settle(job["jobKey"], "completion").status_code == 409
    assert old.settle(job["jobKey"], "completion", {"jobLeaseToken": job["jobLeaseToken"]}).status_code == 204
    assert old.account() | {"completed": 2, "settled_twice": 0, "foreign": 0, "lost": 0} == old.account()
