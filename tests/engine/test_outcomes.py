"""Complete, fail, throw error: effects and refusals."""

from __future__ import annotations

import httpx
import pytest

from .conftest import Api


def problem(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert set(body) == {"type", "title", "status", "detail", "instance"}
    assert body["status"] == answer.status_code
    return answer.status_code, body["title"]


def test_completion_ends_the_job_and_keeps_what_it_was_completed_with(api: Api) -> None:
    key = api.take()
    answer = api.settle(key, "completion", {"variables": {"ok": True, "n": 1.0}})
    assert (answer.status_code, answer.content) == (204, b"")
    look = api.look(key)
    assert (look["state"], look["variables"], look["worker"]) == ("completed", {"ok": True, "n": 1.0}, "w")


def test_completion_needs_no_body(api: Api) -> None:
    assert api.http.post(f"/v2/jobs/{api.take()}/completion").status_code == 204
    assert api.settle(api.take(), "completion", {"variables": None}).status_code == 204


def test_every_command_for_an_ended_or_unknown_job_is_not_found(api: Api) -> None:
    key = api.take()
    api.settle(key, "completion")
    for missing in [key, int(key) + 1_000]:
        for verb, body in [("completion", {}), ("failure", {}), ("error", {"errorCode": "E"})]:
            assert problem(api.settle(missing, verb, body)) == (404, "NOT_FOUND")
        assert problem(api.update(missing, timeout=1_000)) == (404, "NOT_FOUND")


def test_a_failure_sets_the_retries_and_delivers_again(api: Api) -> None:
    key = api.take()
    assert api.settle(key, "failure", {"retries": 7, "errorMessage": "no"}).status_code == 204
    assert api.look(key)["message"] == "no"
    (job,) = api.activate()
    assert (job["jobKey"], job["retries"]) == (key, 7)


def test_a_failure_with_back_off_delivers_again_after_it_and_refuses_until_then(api: Api) -> None:
    key = api.take()
    api.settle(key, "failure", {"retries": 2, "retryBackOff": 1_500})
    assert api.look(key)["state"] == "backing_off"
    assert api.activate() == []
    for verb, body in [("completion", {}), ("failure", {"retries": 1}), ("error", {"errorCode": "E"})]:
        answer = api.settle(key, verb, body)
        assert problem(answer) == (409, "INVALID_STATE")
        assert "FAILED" in answer.json()["detail"]
    api.advance(1_500)
    assert api.activate()[0]["retries"] == 2


@pytest.mark.parametrize("body", [None, {}, {"retries": 0}, {"retries": -1, "errorMessage": "no"}])
def test_a_failure_without_retries_raises_an_incident(api: Api, body: object) -> None:
    key = api.take()
    assert api.settle(key, "failure", body).status_code == 204
    assert api.look(key)["state"] == "incident"
    assert api.account()["incidents"] == 1
    assert api.activate() == []
    assert problem(api.settle(key, "completion")) == (409, "INVALID_STATE")


def test_an_incident_is_resolved_once_there_are_retries_again(api: Api) -> None:
    key = api.take()
    api.settle(key, "failure")
    incident = int(key) + (1 << 50)
    assert problem(api.post(f"/v2/incidents/{incident}/resolution")) == (409, "INVALID_STATE")
    assert api.update(key, retries=2).status_code == 204
    assert api.activate() == [], "raising the retries resolves nothing"
    assert api.post(f"/v2/incidents/{incident}/resolution").status_code == 204
    assert api.activate()[0]["retries"] == 2
    assert problem(api.post(f"/v2/incidents/{incident}/resolution")) == (404, "NOT_FOUND")


def test_variables_of_a_failure_are_seen_by_the_next_try(api: Api) -> None:
    (key,) = api.add(variables={"a": 1, "b": 2})
    api.activate()
    api.settle(key, "failure", {"retries": 2, "variables": {"b": 3, "c": 4}})
    (job,) = api.activate()
    assert job["variables"] == {"a": 1, "b": 3, "c": 4}


def test_a_thrown_error_ends_the_job(api: Api) -> None:
    key = api.take()
    body = {"errorCode": "TOO_HIGH", "errorMessage": "no", "variables": {"x": 1}}
    assert api.settle(key, "error", body).status_code == 204
    look = api.look(key)
    assert (look["state"], look["error_code"], look["message"]) == ("error_thrown", "TOO_HIGH", "no")
    assert api.account()["errors_thrown"] == 1
    assert problem(api.settle(key, "completion")) == (404, "NOT_FOUND")


def test_an_error_that_nothing_catches_raises_an_incident(api: Api) -> None:
    api.settings(uncaught_errors=["UNKNOWN"])
    key = api.take()
    assert api.settle(key, "error", {"errorCode": "UNKNOWN"}).status_code == 204
    assert problem(api.settle(key, "completion")) == (409, "INVALID_STATE")
    account = api.account()
    assert (account["errors_thrown"], account["incidents"], account["lost"]) == (0, 1, 0)


def test_an_error_needs_a_code(api: Api) -> None:
    key = api.take()
    for body in [None, {}, {"errorCode": "  "}]:
        assert problem(api.settle(key, "error", body)) == (400, "INVALID_ARGUMENT")


def test_variables_must_be_an_object(api: Api, old: Api) -> None:
    for engine in (api, old):
        key = engine.take()
        assert problem(engine.settle(key, "completion", {"variables": [1]})) == (400, "Bad Request")
        answer = engine.http.post(
            f"/v2/jobs/{key}/completion", content=b'{"variables":', headers={"content-type": "application/json"}
        )
        assert problem(answer) == (400, "Bad Request")
        assert engine.settle(key, "completion").status_code == 204


def test_without_tokens_a_stale_holder_may_settle_a_job(api: Api) -> None:
    key = api.take(timeout=1_000, worker="first")
    api.advance(1_000)
    assert api.settle(key, "completion").status_code == 204, "timed out, not activated again"
    key = api.take(timeout=1_000, worker="first")
    api.advance(1_000)
    api.activate(worker="second")
    assert api.settle(key, "failure", {"retries": 1}).status_code == 204, "activated again by another worker"
    assert api.activate(worker="third")[0]["retries"] == 1


def test_a_job_that_was_never_activated_can_be_settled_out_of_a_range(api: Api) -> None:
    keys = api.add(count=5)
    assert api.settle(keys[2], "completion").status_code == 204
    assert api.look(keys[3])["state"] == "waiting"
    assert [int(job["jobKey"]) for job in api.activate()] == [keys[0], keys[1], keys[3], keys[4]]
    assert api.account()["lost"] == 0


def test_a_result_has_the_shape_of_its_type(api: Api) -> None:
    good = [
        {"type": "userTask", "denied": True, "deniedReason": "no"},
        {"type": "userTask", "corrections": {"assignee": "", "candidateUsers": []}},
        {"type": "adHocSubProcess", "activateElements": [{"elementId": "a"}], "isCompletionConditionFulfilled": True},
    ]
    for result in good:
        key = api.take()
        assert api.settle(key, "completion", {"result": result}).status_code == 204
        assert api.look(key)["result"] == result
    bad = [
        {"type": "other"},
        {"type": "userTask", "denied": True, "corrections": {}},
        {"type": "userTask", "corrections": {"colour": "red"}},
        {"type": "adHocSubProcess", "denied": True},
    ]
    key = api.take()
    for result in bad:
        assert problem(api.settle(key, "completion", {"result": result})) == (400, "INVALID_ARGUMENT")


def test_a_record_that_is_too_large_is_refused_every_time(api: Api) -> None:
    key = api.take()
    for size, title in [(2_500_000, "EXCEEDED_BATCH_RECORD_SIZE"), (4_300_000, "MALFORMED_REQUEST")]:
        for _ in range(2):
            answer = api.settle(key, "completion", {"variables": {"x": "y" * size}})
            assert problem(answer) == (500, title)
    assert api.settle(key, "completion", {"variables": {"x": "y" * 1_800_000}}).status_code == 204
