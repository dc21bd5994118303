"""The life cycles of worker, pool and fleet: states, reasons, and one transition table for each.

A state is left for a reason; the table says where that reason leads. What the table does not have is a defect:
it is counted, told and survived, and raises where `LifeCycle.strict` is set.
"""

from __future__ import annotations

import enum
import time
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, Generic, TypeVar


class WorkerState(enum.Enum):
    """A worker process, from the request to fork it until it is reaped."""

    STARTING = "starting"
    READY = "ready"
    DRAINING = "draining"
    STOPPING = "stopping"
    DEAD = "dead"


class PoolState(enum.Enum):
    """One generation of a pool."""

    STARTING = "starting"
    STANDBY = "standby"
    READY = "ready"
    DEGRADED = "degraded"
    PAUSED = "paused"
    DRAINING = "draining"
    DRAINED = "drained"


class FleetState(enum.Enum):
    """The supervisor as a whole."""

    STARTING = "starting"
    RUNNING = "running"
    DRAINING = "draining"
    STOPPED = "stopped"


class Reason(enum.Enum):
    """Why a state was left; the value is shown to users."""

    CAME_UP = "came up"
    START_FAILED = "its start failed"
    START_TIMED_OUT = "not ready in time"
    FORK_FAILED = "could not be forked"
    ZYGOTE_LOST = "its zygote died before the fork"
    BROKEN_LINK = "sent a malformed frame"
    OVERDUE = "a job ran over its hard time limit"
    HUNG = "hung for too long"
    GIL_STALLED = "its interpreter stood still for too long"
    STOPPED = "stopped for too long"
    DIED = "died"
    DRAIN = "told to drain"
    RETIRED = "a new generation took its place"
    ABANDONED = "its reload failed"
    SCALED_DOWN = "fewer processes are wanted"
    RECYCLED = "worn out, and another one has taken its place"
    LEFT = "left after its drain"
    GRACE_OVER = "the grace period is over"
    SECOND_SIGNAL = "a second signal came"
    LOAD_FAILED = "its handlers cannot be loaded"
    NEVER_READY = "its workers never become ready"
    DIES_WORKING = "its workers die while working"
    RECOVERED = "recovered"
    WARM = "every worker is ready"
    SWITCHED = "the fleet was switched over to it"
    PAUSE = "told to pause"
    RESUME = "told to go on"
    EMPTY = "its last process has left"
    SETTLED = "every pool has started or told why not"
    DRAINED = "drained"
    CORE_FAILED = "the data path has failed"


KILLS: Final = (Reason.OVERDUE, Reason.HUNG, Reason.GIL_STALLED, Reason.STOPPED)
"""Why the watchdog kills a worker."""

_W = WorkerState
_P = PoolState
_F = FleetState
_R = Reason

WORKER_TRANSITIONS: Final[Mapping[tuple[WorkerState, Reason], WorkerState]] = {
    (_W.STARTING, _R.CAME_UP): _W.READY,
    (_W.STARTING, _R.DRAIN): _W.DRAINING,
    (_W.STARTING, _R.RETIRED): _W.DRAINING,
    (_W.STARTING, _R.ABANDONED): _W.DRAINING,
    (_W.STARTING, _R.SCALED_DOWN): _W.DRAINING,
    (_W.STARTING, _R.START_FAILED): _W.STOPPING,
    (_W.STARTING, _R.START_TIMED_OUT): _W.STOPPING,
    (_W.STARTING, _R.BROKEN_LINK): _W.STOPPING,
    (_W.STARTING, _R.FORK_FAILED): _W.DEAD,
    (_W.STARTING, _R.ZYGOTE_LOST): _W.DEAD,
    (_W.STARTING, _R.DIED): _W.DEAD,
    (_W.READY, _R.DRAIN): _W.DRAINING,
    (_W.READY, _R.RETIRED): _W.DRAINING,
    (_W.READY, _R.ABANDONED): _W.DRAINING,
    (_W.READY, _R.SCALED_DOWN): _W.DRAINING,
    (_W.READY, _R.RECYCLED): _W.DRAINING,
    (_W.READY, _R.BROKEN_LINK): _W.STOPPING,
    (_W.READY, _R.DIED): _W.DEAD,
    # Its pool may leave while it does.
    (_W.DRAINING, _R.DRAIN): _W.DRAINING,
    (_W.DRAINING, _R.RETIRED): _W.DRAINING,
    # What was on its way when the drain began.
    (_W.DRAINING, _R.CAME_UP): _W.DRAINING,
    (_W.DRAINING, _R.START_FAILED): _W.STOPPING,
    (_W.DRAINING, _R.FORK_FAILED): _W.DEAD,
    (_W.DRAINING, _R.ZYGOTE_LOST): _W.DEAD,
    (_W.DRAINING, _R.BROKEN_LINK): _W.STOPPING,
    (_W.DRAINING, _R.GRACE_OVER): _W.STOPPING,
    (_W.DRAINING, _R.SECOND_SIGNAL): _W.STOPPING,
    (_W.DRAINING, _R.LEFT): _W.DEAD,
    (_W.DRAINING, _R.DIED): _W.DEAD,
    **{(state, reason): _W.STOPPING for state in (_W.READY, _W.DRAINING, _W.STOPPING) for reason in KILLS},
    # What was on its way when it was killed.
    (_W.STOPPING, _R.CAME_UP): _W.STOPPING,
    (_W.STOPPING, _R.START_FAILED): _W.STOPPING,
    (_W.STOPPING, _R.BROKEN_LINK): _W.STOPPING,
    (_W.STOPPING, _R.DRAIN): _W.STOPPING,
    (_W.STOPPING, _R.RETIRED): _W.STOPPING,
    (_W.STOPPING, _R.ABANDONED): _W.STOPPING,
    (_W.STOPPING, _R.SCALED_DOWN): _W.STOPPING,
    (_W.STOPPING, _R.RECYCLED): _W.STOPPING,
    (_W.STOPPING, _R.GRACE_OVER): _W.STOPPING,
    (_W.STOPPING, _R.SECOND_SIGNAL): _W.STOPPING,
    (_W.STOPPING, _R.FORK_FAILED): _W.DEAD,
    (_W.STOPPING, _R.ZYGOTE_LOST): _W.DEAD,
    (_W.STOPPING, _R.DIED): _W.DEAD,
}

POOL_TRANSITIONS: Final[Mapping[tuple[PoolState, Reason], PoolState]] = {
    (_P.STARTING, _R.CAME_UP): _P.READY,
    (_P.STARTING, _R.LOAD_FAILED): _P.DEGRADED,
    (_P.STARTING, _R.NEVER_READY): _P.DEGRADED,
    (_P.STARTING, _R.PAUSE): _P.PAUSED,
    (_P.STARTING, _R.DRAIN): _P.DRAINING,
    (_P.STARTING, _R.RETIRED): _P.DRAINING,
    # A generation on trial: it comes into service warm, or not at all.
    (_P.STARTING, _R.WARM): _P.STANDBY,
    (_P.STARTING, _R.ABANDONED): _P.DRAINING,
    (_P.STANDBY, _R.SWITCHED): _P.READY,
    (_P.STANDBY, _R.ABANDONED): _P.DRAINING,
    (_P.STANDBY, _R.DRAIN): _P.DRAINING,
    (_P.READY, _R.LOAD_FAILED): _P.DEGRADED,
    (_P.READY, _R.NEVER_READY): _P.DEGRADED,
    (_P.READY, _R.DIES_WORKING): _P.DEGRADED,
    (_P.READY, _R.PAUSE): _P.PAUSED,
    (_P.READY, _R.DRAIN): _P.DRAINING,
    (_P.READY, _R.RETIRED): _P.DRAINING,
    (_P.DEGRADED, _R.LOAD_FAILED): _P.DEGRADED,
    (_P.DEGRADED, _R.NEVER_READY): _P.DEGRADED,
    (_P.DEGRADED, _R.DIES_WORKING): _P.DEGRADED,
    (_P.DEGRADED, _R.RECOVERED): _P.READY,
    (_P.DEGRADED, _R.PAUSE): _P.PAUSED,
    (_P.DEGRADED, _R.DRAIN): _P.DRAINING,
    (_P.DEGRADED, _R.RETIRED): _P.DRAINING,
    # How it is shows when it goes on.
    (_P.PAUSED, _R.LOAD_FAILED): _P.PAUSED,
    (_P.PAUSED, _R.NEVER_READY): _P.PAUSED,
    (_P.PAUSED, _R.DIES_WORKING): _P.PAUSED,
    (_P.PAUSED, _R.RESUME): _P.STARTING,
    (_P.PAUSED, _R.DRAIN): _P.DRAINING,
    (_P.PAUSED, _R.RETIRED): _P.DRAINING,
    (_P.DRAINING, _R.EMPTY): _P.DRAINED,
}

FLEET_TRANSITIONS: Final[Mapping[tuple[FleetState, Reason], FleetState]] = {
    (_F.STARTING, _R.SETTLED): _F.RUNNING,
    (_F.STARTING, _R.LOAD_FAILED): _F.STOPPED,
    (_F.STARTING, _R.DRAIN): _F.DRAINING,
    (_F.RUNNING, _R.DRAIN): _F.DRAINING,
    (_F.DRAINING, _R.DRAINED): _F.STOPPED,
    (_F.DRAINING, _R.GRACE_OVER): _F.STOPPED,
    (_F.DRAINING, _R.SECOND_SIGNAL): _F.STOPPED,
    **{(state, _R.CORE_FAILED): _F.STOPPED for state in (_F.STARTING, _F.RUNNING, _F.DRAINING)},
}

State = TypeVar("State", bound=enum.Enum)


class IllegalTransition(RuntimeError):
    """A reason that the table does not know in this state."""


class LifeCycle(Generic[State]):
    """One life: its state, since when, and why the last one was left."""

    strict: ClassVar[bool] = False
    illegal: ClassVar[int] = 0

    def __init__(
        self,
        table: Mapping[tuple[State, Reason], State],
        state: State,
        on_illegal: Callable[[str], None] | None = None,
    ) -> None:
        self._table = table
        self._on_illegal = on_illegal
        self.state = state
        self.reason: Reason | None = None
        self.since = time.time()

    def leave(self, reason: Reason) -> bool:
        """Leave the state for `reason`; whether that led to another state."""
        target = self._table.get((self.state, reason))
        if target is None:
            self._refuse(reason)
            return False
        self.reason = reason
        if target is self.state:
            return False
        self.state, self.since = target, time.time()
        return True

    def _refuse(self, reason: Reason) -> None:
        LifeCycle.illegal += 1
        message = f"no transition from {self.state} for {reason}"
        if LifeCycle.strict:
            raise IllegalTransition(message)
        if self._on_illegal:
            self._on_illegal(message)
