"""The end of a fleet: stop to activate, let handlers finish, hand the rest back, leave."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final, Protocol

from jobfleet.supervisor.core import CoreLike, CoreStatus, read_status
from jobfleet.supervisor.exits import ExitCode
from jobfleet.supervisor.lifecycle import Reason
from jobfleet.supervisor.log import Log

# The engine's answers to hand-backs are awaited this long once grace is over, and after a second signal.
_HAND_BACK_S: Final = 5.0
_FORCED_S: Final = 1.0
# `timeout` and the like send a signal to the process and to its group: one wish that arrives twice.
_ECHO_S: Final = 0.2
# By then the core has let go of the polls that it need not wait for.
_TELL_POLLS_S: Final = 0.1


class Drainable(Protocol):
    """The fleet's processes, as far as a drain is concerned."""

    def drain_pools(self) -> None: ...
    def stop_pools(self, reason: Reason) -> None: ...
    @property
    def is_gone(self) -> bool: ...


class Drain:
    """Runs once. `finished` is told the reason and the exit code."""

    def __init__(
        self,
        core: CoreLike,
        pools: Drainable,
        log: Log,
        loop: asyncio.AbstractEventLoop,
        finished: Callable[[Reason, ExitCode], None],
    ) -> None:
        self._core = core
        self._pools = pools
        self._log = log
        self._loop = loop
        self._finished = finished
        self._began_at = 0.0
        self._ends_at: float | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._core_is_drained = False
        self._outcome = (Reason.DRAINED, ExitCode.OK)
        self._is_over = False

    @property
    def grace_left_s(self) -> float | None:
        """Seconds until handlers are stopped; None while nothing drains."""
        return None if self._ends_at is None else max(0.0, self._ends_at - time.monotonic())

    def begin(self, why: str, grace_s: float, hold_s: float) -> None:
        """Stop to activate and let every worker leave. An engine holds a poll for `hold_s` at most."""
        status = read_status(self._core.status())
        self._began_at = time.monotonic()
        self._ends_at = self._began_at + grace_s
        self._core.stop_activation()
        self._pools.drain_pools()
        self._log.info(f"draining: {why}; {_running(status)} have {grace_s:g} s to finish")
        self._timer = self._loop.call_later(grace_s, self._grace_over, grace_s)
        self._loop.call_later(_TELL_POLLS_S, self._tell_polls, min(hold_s, grace_s))
        self.look()

    def core_drained(self) -> None:
        """The core has nothing in flight any more."""
        self._core_is_drained = True
        self.look()

    def look(self) -> None:
        """Finish when nothing is left to wait for."""
        if self._ends_at is not None and self._core_is_drained and self._pools.is_gone:
            self._finish()

    def cancel(self) -> None:
        """Wait for nothing any more; the fleet ends by other means."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()

    def signal_again(self, signal_name: str) -> None:
        """Another signal while draining: end it at once, unless it is an echo of the first."""
        if time.monotonic() - self._began_at >= _ECHO_S:
            self.force(signal_name)

    def force(self, signal_name: str) -> None:
        """End it at once, and say what that costs."""
        if self._outcome[0] is Reason.SECOND_SIGNAL:
            self._finish()
            return
        status = read_status(self._core.status())
        cost = f"{_running(status)} are handed back while their handlers may have had effects"
        if status.held_polls:
            cost += f"; {_polls(status)} are abandoned, and jobs that they bring stay locked until their leases end"
        self._log.warning(f"second {signal_name}: ending at once; {cost}")
        self._give_up(f"the fleet was stopped by a second {signal_name}", Reason.SECOND_SIGNAL, _FORCED_S)

    def _tell_polls(self, at_most_s: float) -> None:
        """Polls are still held only where the engine would lose the next job to one that is abandoned."""
        if self._is_over:
            return
        status = read_status(self._core.status())
        if status.held_polls:
            self._log.info(f"waiting for {_polls(status)}, at most {at_most_s:g} s")

    def _grace_over(self, grace_s: float) -> None:
        status = read_status(self._core.status())
        self._log.warning(f"the grace period of {grace_s:g} s is over: {_running(status)} are handed back")
        self._give_up(
            f"the fleet stopped and its grace period of {grace_s:g} s is over", Reason.GRACE_OVER, _HAND_BACK_S
        )

    def _give_up(self, why: str, reason: Reason, patience_s: float) -> None:
        code = ExitCode.FORCED if reason is Reason.SECOND_SIGNAL else ExitCode.OK
        self._outcome = (reason, code)
        self._core.give_up(why)
        self._pools.stop_pools(reason)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(patience_s, self._finish)

    def _finish(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if not self._is_over:
            self._is_over = True
            self._finished(*self._outcome)


def _running(status: CoreStatus) -> str:
    running = sum(kind.running for kind in status.types)
    return "1 running job" if running == 1 else f"{running} running jobs"


def _polls(status: CoreStatus) -> str:
    return "1 held poll" if status.held_polls == 1 else f"{status.held_polls} held polls"
