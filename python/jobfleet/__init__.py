"""jobfleet runs fleets of Python job handlers against a workflow engine.

What the author of handlers needs is imported from here; each name is loaded when it is first used, so that importing
`jobfleet` costs nothing.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobfleet.handlers.backoff import Backoff
    from jobfleet.handlers.completion import Completion
    from jobfleet.handlers.decorator import handler
    from jobfleet.handlers.errors import JobError, JobFailure, TimeLimitExceeded
    from jobfleet.handlers.hooks import on_start, on_stop
    from jobfleet.handlers.job import Job
    from jobfleet.handlers.results import Activate, AdHocResult, Corrections, Denial
    from jobfleet.handlers.state import State
    from jobfleet.handlers.usertask import UserTask

__all__ = [
    "Activate",
    "AdHocResult",
    "Backoff",
    "Completion",
    "Corrections",
    "Denial",
    "Job",
    "JobError",
    "JobFailure",
    "State",
    "TimeLimitExceeded",
    "UserTask",
    "handler",
    "on_start",
    "on_stop",
]

_HOMES = {
    "Activate": "results",
    "AdHocResult": "results",
    "Backoff": "backoff",
    "Completion": "completion",
    "Corrections": "results",
    "Denial": "results",
    "Job": "job",
    "JobError": "errors",
    "JobFailure": "errors",
    "State": "state",
    "TimeLimitExceeded": "errors",
    "UserTask": "usertask",
    "handler": "decorator",
    "on_start": "hooks",
    "on_stop": "hooks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'jobfleet' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"jobfleet.handlers.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
