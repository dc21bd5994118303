"""Errors: those that a handler raises on purpose, and those of loading handlers."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobfleet.handlers.backoff import Backoff


class LoadError(Exception):
    """Handlers cannot be loaded. `str()` is one sentence: what, where, and what to do about it.

    `path` and `line` locate the cause where they are known; `detail` is the traceback text, if there is one.
    """

    def __init__(self, message: str, *, path: str | None = None, line: int | None = None, detail: str = "") -> None:
        super().__init__(message)
        self.path = path
        self.line = line
        self.detail = detail


class HandlerOptionError(ValueError):
    """A decorator got an option that cannot work. Loading turns it into a `LoadError` with file and line."""


class JobError(Exception):
    """Raise it to throw a BPMN error: `code` selects the catching event.

    `variables` (a mapping, Struct, dataclass or pydantic model) are visible to that event. Raises ValueError for an
    empty code.
    """

    def __init__(self, code: str, message: str | None = None, variables: Any = None) -> None:
        if not isinstance(code, str) or not code.strip():
            raise ValueError(f"the code of a JobError is {code!r}; give that of the event that catches it")
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.variables = variables

    def __str__(self) -> str:
        return self.code if self.message is None else f"{self.code}: {self.message}"


class TimeLimitExceeded(Exception):
    """Raised inside of a handler that runs longer than its `time_limit`; catch it to clean up, then let it go on.

    What a handler raises or returns afterwards is its outcome; unless it does either, the job fails with this.
    """

    limit_s: float = 0.0
    """The limit, in seconds."""

    @classmethod
    def of(cls, limit_ms: int) -> "type[TimeLimitExceeded]":
        """The class for one limit: CPython raises classes, not instances, in other threads."""
        return type("TimeLimitExceeded", (cls,), {"limit_s": limit_ms / 1000, "__module__": cls.__module__})

    def __str__(self) -> str:
        return f"the handler ran longer than its time limit of {self.limit_s:g} s"


class JobFailure(Exception):
    """Raise it to fail the job in exactly this way.

    `retries` is the number that is left afterwards, None one less than the job has. `backoff` is the pause before the
    next try: seconds, a text such as `"5s"`, a timedelta or a `Backoff`; None takes the handler's own.
    """

    def __init__(
        self,
        message: str,
        retries: int | None = None,
        backoff: "float | str | timedelta | Backoff | None" = None,
        variables: Mapping[str, Any] | Any = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.retries = retries
        self.backoff = backoff
        self.variables = variables
