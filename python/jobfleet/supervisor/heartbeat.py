"""Feeds systemd's watchdog, but only while the fleet can do its work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import Final

from jobfleet.supervisor.core import CoreLike
from jobfleet.supervisor.log import Log
from jobfleet.supervisor.notify import Notifier
from jobfleet.supervisor.pool import Pool

# Feedings in each period of the watchdog, so that a late turn of the loop is no reason to die.
_SHARE: Final = 3


class Heartbeat:
    """Runs on the supervisor's loop: that it runs at all is the first thing that it tells.

    The core has to have taken a look at its workers since the last time (it does so each second), and one pool at
    least must have a worker that moves.
    """

    def __init__(
        self, core: CoreLike, notifier: Notifier, pools: Iterable[Pool], is_stuck: Callable[[Pool], bool], log: Log
    ) -> None:
        self._core = core
        self._notifier = notifier
        self._pools = pools
        self._is_stuck = is_stuck
        self._log = log
        self._beats = -1
        self._is_told = False

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Feed from now on, where a manager wants that."""
        if self._notifier.watchdog_s is not None:
            self._turn(loop, self._notifier.watchdog_s / _SHARE)

    def _turn(self, loop: asyncio.AbstractEventLoop, every_s: float) -> None:
        trouble = self.trouble()
        if trouble is None:
            self._notifier.alive()
        elif not self._is_told:
            self._log.error(f"the service manager is not told that the fleet lives: {trouble}")
        self._is_told = trouble is not None
        loop.call_later(every_s, self._turn, loop, every_s)

    def trouble(self) -> str | None:
        """Why the fleet cannot do its work; None while it can."""
        beats, before = self._core.beats, self._beats
        self._beats = beats
        # Looks come each second: a shorter period may see none in between.
        if beats == before and (self._notifier.watchdog_s or 0.0) / _SHARE > 1.5:
            return "the data path does not answer"
        stuck = [self._is_stuck(pool) for pool in self._pools]
        if stuck and all(stuck):
            return "no worker of any pool moves"
        return None
