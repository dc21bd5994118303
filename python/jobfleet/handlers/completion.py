"""An explicit completion."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Completion:
    """What a handler returns when variables alone do not say it.

    `variables` is anything that a handler may return. `result` is a `Corrections`, `Denial` or `AdHocResult`, or the
    engine's own result object (for Camunda the `result` member of a completion), sent as it is.
    """

    variables: Any = None
    result: Any = None
