"""What handlers return for jobs that are no ordinary ones: listeners of user tasks, and ad-hoc sub-processes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

_HIGHEST_PRIORITY = 100


class Corrections(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Lets a user task's transition go on, with some of the task's attributes corrected. For task listeners.

    An attribute that is not given stays as it is; `""`, and `[]` for the candidates, clears it; None is sent as null,
    which Camunda takes as not given. Dates are datetimes with a time zone, or texts in the form of RFC 3339. Raises
    ValueError that names the attribute.
    """

    assignee: str | UnsetType | None = UNSET
    due_date: datetime | str | UnsetType | None = UNSET
    follow_up_date: datetime | str | UnsetType | None = UNSET
    candidate_users: Sequence[str] | UnsetType | None = UNSET
    candidate_groups: Sequence[str] | UnsetType | None = UNSET
    priority: int | UnsetType | None = UNSET
    """From 0 to 100."""

    def __post_init__(self) -> None:
        if not isinstance(self.assignee, str | None | UnsetType):
            raise ValueError(f'Corrections: assignee is {self.assignee!r}; give a text, "" clears it')
        _check_date("due_date", self.due_date)
        _check_date("follow_up_date", self.follow_up_date)
        _check_names("candidate_users", self.candidate_users)
        _check_names("candidate_groups", self.candidate_groups)
        _check_priority(self.priority)


class Denial(msgspec.Struct, frozen=True):
    """Refuses a user task's transition: the task goes back to where it was. For task listeners.

    Camunda takes it for the events ASSIGNING, UPDATING and COMPLETING.
    """

    reason: str | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.reason, str | None):
            raise ValueError(f"Denial: the reason is {self.reason!r}; give a text")


class Activate(msgspec.Struct, frozen=True):
    """One element of an ad-hoc sub-process to activate, with variables of its own (anything a handler may return)."""

    element_id: str
    variables: Any = None

    def __post_init__(self) -> None:
        if not isinstance(self.element_id, str) or not self.element_id:
            raise ValueError(f"Activate: the element is {self.element_id!r}; give the id that it has in the model")


class AdHocResult(msgspec.Struct, frozen=True):
    """What an ad-hoc sub-process does next. For jobs of kind AD_HOC_SUB_PROCESS.

    `activate` names elements to activate. `fulfilled` ends the sub-process, and with `cancel_remaining` at once: what
    still runs in it is cancelled. Raises ValueError for a combination that the engine would refuse.
    """

    activate: Sequence[Activate] = ()
    fulfilled: bool = False
    cancel_remaining: bool = False

    def __post_init__(self) -> None:
        if not isinstance(self.activate, Sequence) or not all(isinstance(one, Activate) for one in self.activate):
            raise ValueError(f"AdHocResult: activate is {self.activate!r}; give a list of Activate(...)")
        if self.activate and self.fulfilled:
            raise ValueError("AdHocResult: a sub-process that is fulfilled activates nothing; leave one of them out")


def _check_date(name: str, value: object) -> None:
    if isinstance(value, datetime) and value.tzinfo is None:
        raise ValueError(f"Corrections: {name} has no time zone; give an aware datetime")
    if not isinstance(value, datetime | str | None | UnsetType):
        raise ValueError(f'Corrections: {name} is {value!r}; give a datetime or a text, "" clears it')


def _check_names(name: str, value: object) -> None:
    if value is None or value is UNSET:
        return
    names = [] if isinstance(value, str) or not isinstance(value, Sequence) else value
    if names is not value or not all(isinstance(one, str) for one in names):
        raise ValueError(f"Corrections: {name} is {value!r}; give a list of texts, [] clears it")


def _check_priority(value: object) -> None:
    if value is None or value is UNSET:
        return
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _HIGHEST_PRIORITY:
        raise ValueError(f"Corrections: priority is {value!r}; give a whole number from 0 to {_HIGHEST_PRIORITY}")
