"""What every lane of a worker process has at hand."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobfleet.handlers.binding import Binding
from jobfleet.handlers.state import State
from jobfleet.worker.cancels import Cancels
from jobfleet.worker.fork_guard import ForkGuard
from jobfleet.worker.records import LaneContext
from jobfleet.worker.settle import Settler
from jobfleet.worker.time_limits import TimeLimits

if TYPE_CHECKING:
    from jobfleet._core import Link


@dataclass(frozen=True)
class Surroundings:
    """What the lanes of one worker process share."""

    link: "Link"
    bindings: Sequence[Binding]
    """In type-index order."""
    state: State
    cancels: Cancels
    guard: ForkGuard
    limits: TimeLimits


@dataclass(frozen=True)
class Lane:
    """One lane: its index on the link, and how its jobs log and settle."""

    around: Surroundings
    index: int
    slots: int
    context: LaneContext = field(init=False)
    settler: Settler = field(init=False)

    def __post_init__(self) -> None:
        around = self.around
        object.__setattr__(self, "context", LaneContext(around.link, self.index, around.state, around.cancels))
        object.__setattr__(self, "settler", Settler(around.link, self.index, around.guard))
