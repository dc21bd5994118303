"""Jobs whose outcome is no longer wanted."""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobfleet._core import Link


_REMEMBERED = 4096
"""More than a process has slots, so that no running job is forgotten; old entries have long ended."""


class Cancels:
    """Hands cancellations to the lanes: a task is cancelled, a sync handler sees `job.cancelled`."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._known: dict[tuple[int, int], str] = {}
        self._listeners: dict[int, Callable[[int, str], None]] = {}

    def listen(self, lane: int, listener: Callable[[int, str], None]) -> None:
        """Call `listener(number, reason)`, from any thread, for each cancelled job of `lane`."""
        self._listeners[lane] = listener

    def poll(self) -> None:
        """Take what the core sent since the last call."""
        for lane, number, reason in self._link.take_cancels():
            self._known[lane, number] = reason
            while len(self._known) > _REMEMBERED:
                self._known.pop(next(iter(self._known)), None)
            listener = self._listeners.get(lane)
            if listener is not None:
                listener(number, reason)

    def __contains__(self, job: tuple[int, int]) -> bool:
        """Whether job `(lane, number)` is cancelled; looks for news first."""
        self.poll()
        return job in self._known
