"""Turns explicit results into what the engine takes, and refuses those that the job at hand cannot have."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from jobfleet.handlers.completion import Completion
from jobfleet.handlers.job import Job
from jobfleet.handlers.results import AdHocResult, Corrections, Denial
from jobfleet.worker.encode import NotEncodable, encode

EXPLICIT: Final = frozenset({Completion, Corrections, Denial, AdHocResult})
"""What a handler may return beside variables."""

_NEEDED: Final = {"userTask": "TASK_LISTENER", "adHocSubProcess": "AD_HOC_SUB_PROCESS"}
"""The kind of job that takes a result of each type."""
_KINDS: Final = {
    "BPMN_ELEMENT": "an ordinary job",
    "EXECUTION_LISTENER": "a job of an execution listener",
    "TASK_LISTENER": "a job of a task listener",
    "AD_HOC_SUB_PROCESS": "a job of an ad-hoc sub-process",
}
_CANNOT_BE_DENIED: Final = ("CREATING", "CANCELING")


def encode_completion(returned: Any, job: Job[Any]) -> tuple[bytes | None, bytes | None]:
    """Variables and result of one of `EXPLICIT`. Raises NotEncodable: also for a result that `job` cannot have."""
    completion = returned if type(returned) is Completion else Completion(result=returned)
    variables = None if completion.variables is None else encode(completion.variables, "variables")
    if completion.result is None:
        return variables, None
    result = _shape(completion.result)
    if isinstance(result, Mapping):
        _refuse_misfit(result, completion.result, job)
    return variables, encode(result)


def _shape(result: Any) -> Any:
    """A result as Camunda spells it; anything but our own types stays as it is."""
    if isinstance(result, Corrections):
        return {"type": "userTask", "corrections": result}
    if isinstance(result, Denial):
        reason = {} if result.reason is None else {"deniedReason": result.reason}
        return {"type": "userTask", "denied": True, **reason}
    if isinstance(result, AdHocResult):
        return {
            "type": "adHocSubProcess",
            "activateElements": [_activation(place, one) for place, one in enumerate(result.activate)],
            "isCompletionConditionFulfilled": result.fulfilled,
            "isCancelRemainingInstances": result.cancel_remaining,
        }
    return result


def _activation(place: int, one: Any) -> dict[str, Any]:
    if one.variables is None:
        return {"elementId": one.element_id}
    variables = msgspec.Raw(encode(one.variables, f"activate[{place}].variables"))
    return {"elementId": one.element_id, "variables": variables}


def _refuse_misfit(result: Mapping[str, Any], given: Any, job: Job[Any]) -> None:
    name = type(given).__name__ if type(given) in EXPLICIT else f"a result of type {result.get('type')!r}"
    needed = _NEEDED.get(str(result.get("type")))
    # A kind that is newer than jobfleet may take what it likes.
    if needed is not None and job.kind != needed and job.kind in _KINDS:
        raise NotEncodable(f"{name} is for {_KINDS[needed]}, but this is {_KINDS[job.kind]}; return its variables")
    if result.get("denied"):
        if result.get("corrections") is not None:
            raise NotEncodable("a result that is denied cannot carry corrections: the denial would revert them")
        if job.listener_event_type in _CANNOT_BE_DENIED:
            raise NotEncodable(f"a user task cannot be denied its {job.listener_event_type}; raise JobFailure instead")
