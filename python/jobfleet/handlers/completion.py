"""An explicit completion."""

from dataclasses import dataclass
from typing import Any

_LONGEST_BUSINESS_ID = 256


@dataclass(frozen=True)
class Completion:
    """What a handler returns when variables alone do not say it.

    `variables` is anything that a handler may return. `result` is a `Corrections`, `Denial` or `AdHocResult`, or the
    engine's own result object (for Camunda the `result` member of a completion), sent as it is. `business_id` names the
    root process instance for good (Camunda 8.10); raises ValueError unless it has 1 to 256 characters.
    """

    variables: Any = None
    result: Any = None
    business_id: str | None = None

    def __post_init__(self) -> None:
        given = self.business_id
        if given is not None and not (isinstance(given, str) and 1 <= len(given) <= _LONGEST_BUSINESS_ID):
            raise ValueError(
                f"Completion: business_id is {given!r}; give a text of 1 to {_LONGEST_BUSINESS_ID} characters"
            )
