"""Results of listeners and ad-hoc sub-processes: what is said, what is left out, what is refused."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from jobfleet import Activate, AdHocResult, Completion, Corrections, Denial, Job
from jobfleet.worker.encode import NotEncodable
from jobfleet.worker.results import encode_completion


def sent(result: Any, kind: str = "TASK_LISTENER", event: str = "COMPLETING") -> Any:
    """The result member of the completion."""
    job: Job = Job(variables={}, kind=kind, listener_event_type=event)
    _, encoded = encode_completion(result, job)
    return None if encoded is None else json.loads(encoded)


def test_absent_null_and_empty_corrections_are_kept_apart() -> None:
    assert sent(Corrections()) == {"type": "userTask", "corrections": {}}
    assert sent(Corrections(assignee=None, candidate_users=None)) == {
        "type": "userTask",
        "corrections": {"assignee": None, "candidateUsers": None},
    }
    assert sent(Corrections(assignee="", due_date="", candidate_groups=[])) == {
        "type": "userTask",
        "corrections": {"assignee": "", "dueDate": "", "candidateGroups": []},
    }


def test_every_attribute_is_corrected_as_camunda_spells_it() -> None:
    everything = Corrections(
        assignee="ada",
        due_date=datetime(2027, 1, 2, 3, 4, 5, tzinfo=timezone(timedelta(hours=1))),
        follow_up_date="2027-01-01T00:00:00Z",
        candidate_users=("ada", "bob"),
        candidate_groups=["sales"],
        priority=0,
    )
    assert sent(everything)["corrections"] == {
        "assignee": "ada",
        "dueDate": "2027-01-02T03:04:05+01:00",
        "followUpDate": "2027-01-01T00:00:00Z",
        "candidateUsers": ["ada", "bob"],
        "candidateGroups": ["sales"],
        "priority": 0,
    }


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"assignee": 7}, "assignee is 7"),
        ({"due_date": datetime(2027, 1, 1)}, "due_date has no time zone"),
        ({"follow_up_date": 3}, "follow_up_date is 3"),
        ({"candidate_users": "ada"}, "candidate_users is 'ada'"),
        ({"candidate_groups": [1]}, r"candidate_groups is \[1\]"),
        ({"priority": 101}, "priority is 101"),
        ({"priority": True}, "priority is True"),
    ],
)
def test_impossible_correction_names_its_attribute(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Corrections(**wrong)


def test_denial_says_why() -> None:
    assert sent(Denial("no invoice")) == {"type": "userTask", "denied": True, "deniedReason": "no invoice"}
    assert sent(Denial()) == {"type": "userTask", "denied": True}


def test_ad_hoc_sub_process_activates_elements_with_variables() -> None:
    result = AdHocResult([Activate("book", {"seats": 2**70}), Activate("pay")], cancel_remaining=True)
    assert sent(result, "AD_HOC_SUB_PROCESS") == {
        "type": "adHocSubProcess",
        "activateElements": [{"elementId": "book", "variables": {"seats": 2**70}}, {"elementId": "pay"}],
        "isCompletionConditionFulfilled": False,
        "isCancelRemainingInstances": True,
    }
    assert sent(AdHocResult(fulfilled=True), "AD_HOC_SUB_PROCESS")["isCompletionConditionFulfilled"] is True


def test_sub_process_that_is_fulfilled_activates_nothing() -> None:
    with pytest.raises(ValueError, match="fulfilled activates nothing"):
        AdHocResult([Activate("book")], fulfilled=True)
    with pytest.raises(ValueError, match="the element is ''"):
        Activate("")
    with pytest.raises(ValueError, match="give a list of Activate"):
        AdHocResult(["book"])  # type: ignore[list-item]


@pytest.mark.parametrize(
    ("result", "kind", "words"),
    [
        (
            Corrections(priority=1),
            "BPMN_ELEMENT",
            "Corrections is for .* but this is an ordinary job",
        ),
        (Denial("no"), "EXECUTION_LISTENER", "Denial is for .* but this is a job of an execution listener"),
        (Denial("no"), "AD_HOC_SUB_PROCESS", "Denial is for .* but this is a job of an ad-hoc sub-process"),
        (
            AdHocResult(),
            "TASK_LISTENER",
            "AdHocResult is for .* but this is a job of a task",
        ),
        (Completion(result={"type": "userTask"}), "BPMN_ELEMENT", "'userTask' is for a job of a task listener"),
        (
            Completion(result={"type": "userTask", "denied": True, "corrections": {}}),
            "TASK_LISTENER",
            "denied cannot carry corrections",
        ),
    ],
)
def test_result_that_the_job_cannot_have_is_refused(result: Any, kind: str, words: str) -> None:
    with pytest.raises(NotEncodable, match=words):
        sent(result, kind)


@pytest.mark.parametrize("event", ["CREATING", "CANCELING"])
def test_what_cannot_be_denied_is_refused(event: str) -> None:
    with pytest.raises(NotEncodable, match=f"cannot be denied its {event}"):
        sent(Denial("no"), event=event)


def test_kinds_and_results_newer_than_jobfleet_go_through() -> None:
    assert sent(Denial("no"), "LISTENER_OF_2030")["denied"] is True
    newer = {"type": "of2030", "denied": True, "what": None}
    assert sent(Completion(result=newer), "BPMN_ELEMENT") == newer


def test_result_goes_beside_variables() -> None:
    job: Job = Job(variables={}, kind="AD_HOC_SUB_PROCESS")
    variables, result = encode_completion(Completion({"round": 2}, AdHocResult(fulfilled=True)), job)
    assert variables == b'{"round":2}'
    assert result is not None
    assert json.loads(result)["isCompletionConditionFulfilled"] is True


def test_bad_variables_of_an_element_are_named_by_their_place() -> None:
    with pytest.raises(NotEncodable, match=r"activate\[1\]\.variables\.x is nan"):
        sent(AdHocResult([Activate("a"), Activate("b", {"x": float("nan")})]), "AD_HOC_SUB_PROCESS")
