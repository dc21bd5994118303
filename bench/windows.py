"""How even a rate is: the usual and the worst half second of a time."""

from __future__ import annotations

import statistics
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

WINDOW_S = 0.5


class Sample(NamedTuple):
    """What the engine had counted at a moment: jobs that were added and completed."""

    at: float
    added: int
    completed: int


def usual(samples: Sequence[Sample], since: float, until: float) -> float:
    """Completed jobs per second, the median of all half seconds that ended in that time."""
    return statistics.median(_rates(samples, since, until))


def worst(samples: Sequence[Sample], since: float, until: float) -> float:
    """Completed jobs per second in the worst half second that ended in that time."""
    return min(_rates(samples, since, until))


def _rates(samples: Sequence[Sample], since: float, until: float) -> list[float]:
    times = [sample.at for sample in samples]
    found = []
    for index in range(bisect_right(times, since), bisect_right(times, until)):
        before = bisect_right(times, times[index] - WINDOW_S) - 1
        if before >= 0:
            then, now = samples[before], samples[index]
            found.append((now.completed - then.completed) / (now.at - then.at))
    return found
