"""What all pools of a fleet share."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import msgspec

from jobfleet.supervisor.core import CoreLike
from jobfleet.supervisor.hub import Hub
from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.reaper import Reaper
from jobfleet.supervisor.spawn import Spawned
from jobfleet.supervisor.writer import Account


class Surroundings(msgspec.Struct, frozen=True):
    """The fleet as its pools see it."""

    core: CoreLike
    reaper: Reaper
    loop: asyncio.AbstractEventLoop
    log: Log
    hub: Hub
    spawn: Callable[[], Spawned]
    types: dict[str, str]
    """Which pool handles a job type."""
    renew: Callable[[str, str], None]
    """Called with a pool's name and a reason when only a new generation can replace its dead."""
    changed: Callable[[], None]
    """Called when a pool's state, the number of its processes or the engine's state has changed."""


class Teller:
    """Tells of one pool: lines for the log, events for listeners."""

    def __init__(self, pool: str, around: Surroundings) -> None:
        self._pool = pool
        self._around = around
        self._account = Account()

    def say(self, level: Level, message: str, **fields: Any) -> None:
        """Write a line to the log."""
        self._around.log.line(level, f"pool {self._pool}", message, fields, self._account)

    def publish(self, event: str, **fields: Any) -> None:
        """Tell listeners of `/v1/events`."""
        self._around.hub.publish(event, pool=self._pool, **fields)

    def defect(self, what: str) -> None:
        """A transition that no table knows."""
        self.say(Level.ERROR, f"a defect of jobfleet, survived: {what}")
