"""What happened, for everyone who listens on `/v1/events`."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

# Events that one listener may have waiting; a slow one loses the newest and is told how many.
_WAITING: Final = 1000


class Listener:
    """One listener's queue."""

    def __init__(self) -> None:
        self._queue: asyncio.Queue[dict[str, Any] | None] = asyncio.Queue(_WAITING)
        self._dropped = 0

    def put(self, event: dict[str, Any] | None) -> None:
        """Queue an event, or None for the end."""
        if self._queue.full():
            self._dropped += 1
            return
        self._queue.put_nowait(event)

    async def next(self) -> dict[str, Any] | None:
        """The next event; None at the end."""
        if self._dropped and self._queue.empty():
            dropped, self._dropped = self._dropped, 0
            return {"event": "dropped", "time": time.time(), "count": dropped}
        return await self._queue.get()


class Hub:
    """Hands each event to every listener, and costs nothing without one."""

    def __init__(self) -> None:
        self._listeners: set[Listener] = set()

    def publish(self, event: str, **fields: Any) -> None:
        """Tell everyone."""
        for listener in self._listeners:
            listener.put({"event": event, "time": time.time(), **fields})

    def listen(self) -> Listener:
        """A new listener; give it back to `leave`."""
        listener = Listener()
        self._listeners.add(listener)
        return listener

    def leave(self, listener: Listener) -> None:
        """Tell this listener no more."""
        self._listeners.discard(listener)

    def close(self) -> None:
        """End every stream."""
        for listener in self._listeners:
            listener.put(None)
