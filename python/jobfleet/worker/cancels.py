"""Jobs whose outcome is no longer wanted."""

from collections.abc import Callable
from contextlib import suppress
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobfleet._core import Link


_REMEMBERED = 4096
"""More than a process has slots, so that no running job is forgotten; old entries have long ended."""


class Cancels:
    """Hands cancellations to the lanes: a task is cancelled, a sync handler sees `job.cancelled`."""

    def __init__(self, link: "Link") -> None:
        self._link = link
        self._lock = Lock()
        self._known: dict[tuple[int, int], str] = {}
        self._listeners: dict[int, Callable[[int, str], None]] = {}

    def listen(self, lane: int, listener: Callable[[int, str], None]) -> None:
        """Call `listener(number, reason)`, from any thread, for each cancelled job of `lane`."""
        self._listeners[lane] = listener

    def poll(self) -> None:
        """Take what the core sent since the last call."""
        for lane, number, reason in self._link.take_cancels():
            with self._lock:
                self._known[lane, number] = reason
                if len(self._known) > _REMEMBERED:
                    del self._known[next(iter(self._known))]
            listener = self._listeners.get(lane)
            if listener is not None:
                listener(number, reason)

    def __contains__(self, job: tuple[int, int]) -> bool:
        """Whether job `(lane, number)` is cancelled; looks for news first."""
        with suppress(RuntimeError):
            # There are none in a child that a handler forked.
            self.poll()
        return job in self._known
