"""What a job needs from the process that runs it. The worker implements it; handlers never see it."""

from typing import Any, Protocol

from jobfleet.handlers.state import State


class Context(Protocol):
    """The lane that runs a job."""

    state: State

    def log(self, number: int, level: int, message: str, fields: dict[str, Any]) -> None:
        """Record one structured line of job `number`."""

    def cancelled(self, number: int) -> bool:
        """Whether the outcome of job `number` is no longer wanted."""
