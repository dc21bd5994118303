"""When to replace what died: back-off with streaks, and two breakers. Time goes in, decisions come out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from jobfleet.supervisor.lifecycle import Reason

FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 30.0
# A life of this length, or of this many jobs, ends the streak of deaths before it: that is an accident, and no
# crash loop whose forks cost more than its workers do.
HEALTHY_S: Final = 60.0
HEALTHY_JOBS: Final = 1000
# Starts that fail in a row, with nobody ready, before a pool is called degraded.
START_FAILURES: Final = 3
# Deaths in a row of each index, with nobody ready, before a pool is called degraded.
DEATHS_WORKING: Final = 5
# How long one worker must live before a pool whose workers died while working is trusted again.
PROBATION_S: Final = 10.0


class Backoff:
    """A streak of deaths: the first is answered at once, the next ones after 0.1 s to 30 s with jitter."""

    def __init__(self, random: Callable[[], float]) -> None:
        self._random = random
        self.streak = 0

    def died(self, lived_s: float, jobs: int = 0) -> float:
        """Seconds to wait before the replacement of what lived for `lived_s` since it was ready, and did `jobs`."""
        self.streak = 1 if lived_s >= HEALTHY_S or jobs >= HEALTHY_JOBS else self.streak + 1
        if self.streak == 1:
            return 0.0
        # The exponent is bounded because a float is.
        pause = FIRST_PAUSE_S * 2.0 ** min(self.streak - 2, 16)
        return min(LONGEST_PAUSE_S, pause * (0.75 + 0.5 * self._random()))


class Verdict(NamedTuple):
    """What follows from a death: replace after `delay_s`, or not before the pool recovers; and the breaker opened."""

    delay_s: float | None
    opened: Reason | None


class RestartPolicy:
    """The restarts of one pool's workers, told apart by index.

    While a breaker is open a single index at a time goes on trying; the others wait for the recovery.
    """

    def __init__(self, processes: int, random: Callable[[], float]) -> None:
        self._random = random
        self._backoff = [Backoff(random) for _ in range(processes)]
        self._ready_at: list[float | None] = [None] * processes
        self._start_failures = 0
        self._probe: int | None = None
        self.breaker: Reason | None = None

    def resize(self, processes: int) -> None:
        """Have as many indexes as this. When the one that goes on trying is cut off, the first takes its place."""
        del self._backoff[processes:], self._ready_at[processes:]
        missing = range(len(self._backoff), processes)
        self._backoff.extend(Backoff(self._random) for _ in missing)
        self._ready_at.extend(None for _ in missing)
        if self._probe is not None and self._probe >= processes:
            self._probe = 0

    @property
    def probe(self) -> int | None:
        """The index that goes on trying while a breaker is open."""
        return self._probe

    def ready(self, index: int, now_s: float) -> bool:
        """A worker became ready. True when that closes the breaker."""
        self._ready_at[index] = now_s
        self._start_failures = 0
        return self._close() if self.breaker is Reason.NEVER_READY else False

    def survived_probation(self, index: int, now_s: float) -> bool:
        """Ask `PROBATION_S` after a worker became ready. True when that closes the breaker."""
        ready_at = self._ready_at[index]
        alive = ready_at is not None and now_s - ready_at >= PROBATION_S
        return self._close() if alive and self.breaker is Reason.DIES_WORKING else False

    def has_streak(self, index: int) -> bool:
        """Whether it matters how many jobs this index's worker has done."""
        return self._backoff[index].streak > 0

    def died(self, index: int, now_s: float, jobs: int = 0) -> Verdict:
        """A worker died that nobody had told to go, after so many jobs."""
        ready_at, self._ready_at[index] = self._ready_at[index], None
        if ready_at is None:
            self._start_failures += 1
        delay_s = self._backoff[index].died(0.0 if ready_at is None else now_s - ready_at, jobs)
        opened = self._judge()
        if opened is not None:
            self.breaker, self._probe = opened, index
        if self.breaker is None or self._probe == index:
            return Verdict(delay_s, opened)
        return Verdict(None, opened)

    def forgive(self, index: int, deaths: int = 1) -> None:
        """The last deaths of `index` were the fault of one job: they say nothing about the pool."""
        if index < len(self._backoff):
            backoff = self._backoff[index]
            backoff.streak = max(0, backoff.streak - deaths)

    def _judge(self) -> Reason | None:
        """The breaker that this death opens."""
        if self.breaker is not None or any(ready_at is not None for ready_at in self._ready_at):
            return None
        if self._start_failures >= START_FAILURES:
            return Reason.NEVER_READY
        if min(backoff.streak for backoff in self._backoff) >= DEATHS_WORKING:
            return Reason.DIES_WORKING
        return None

    def _close(self) -> bool:
        self.breaker = self._probe = None
        return True
