"""Jobs as each version of Camunda sends them, and as a version that is newer than jobfleet may."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jobfleet.handlers.decode import decode_again, decoder_of
from jobfleet.handlers.job import Job

COMMON = {"type": "work", "elementId": "task", "customHeaders": {"h": "v"}, "worker": "w", "retries": 3, "deadline": 7}
OLD = COMMON | {"key": 2251799813685259, "processInstanceKey": 2251799813685252, "tenantId": "<default>"}
MIDDLE = COMMON | {
    "jobKey": "2251799813685259",
    "processInstanceKey": "2251799813685252",
    "tenantId": "<default>",
    "kind": "EXECUTION_LISTENER",
    "listenerEventType": "START",
    "userTask": None,
    "tags": ["blue"],
}
NEW = MIDDLE | {
    "rootProcessInstanceKey": "2251799813685000",
    "priority": 5,
    "businessId": "order-7",
    "physicalTenantId": "<default>",
    "jobLeaseToken": "opaque",
}
FUTURE = NEW | {
    "kind": "KIND_OF_2030",
    "listenerEventType": "EVENT_OF_2030",
    "tags": {"now": "an object"},
    "priority": "high",
    "brandNew": [1, {"a": None}],
}


def decoded(answer: dict[str, Any]) -> Job[dict[str, Any]]:
    """The job as a worker reads it, second try included."""
    raw = json.dumps(answer | {"variables": {"n": 1}}).encode()
    decode = decoder_of(dict[str, Any])
    try:
        return decode(raw)
    except Exception as error:
        return decode_again(decode, dict[str, Any], raw, error)


@pytest.mark.parametrize("answer", [OLD, MIDDLE, NEW, FUTURE], ids=["8.6", "8.8", "8.10", "later"])
def test_every_version_is_read(answer: dict[str, Any]) -> None:
    job = decoded(answer)
    assert (job.key, job.process_instance_key) == ("2251799813685259", "2251799813685252")
    assert (job.type, job.retries, job.headers, job.variables) == ("work", 3, {"h": "v"}, {"n": 1})


def test_what_a_version_does_not_send_has_a_default() -> None:
    old, middle, new = decoded(OLD), decoded(MIDDLE), decoded(NEW)
    assert (old.kind, old.listener_event_type, old.tags, old.priority) == ("BPMN_ELEMENT", "UNSPECIFIED", (), 0)
    assert (middle.kind, middle.tags, middle.root_process_instance_key) == ("EXECUTION_LISTENER", ("blue",), None)
    assert (new.priority, new.business_id, new.root_process_instance_key) == (5, "order-7", "2251799813685000")


def test_members_of_an_enumeration_that_is_newer_stay_readable() -> None:
    job = decoded(FUTURE)
    assert (job.kind, job.listener_event_type) == ("KIND_OF_2030", "EVENT_OF_2030")
    # What has another shape than expected is left out; it costs nothing else.
    assert (job.tags, job.priority, job.business_id) == ((), 0, "order-7")


def test_the_token_of_a_lease_never_reaches_the_handler() -> None:
    job = decoded(NEW)
    assert "opaque" not in repr(job) + repr({name: getattr(job, name) for name in job.__struct_fields__})
