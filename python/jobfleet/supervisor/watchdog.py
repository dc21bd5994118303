"""The watchdog: tells workers that do not move from those that work, and ends them by a ladder of dump, then KILL.

It has no tick of its own. The core looks at flight recorders each second and tells of suspects; only of those is the
system asked, and healthy workers cost nothing here.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from typing import Final

from jobfleet.supervisor.lifecycle import Reason, WorkerState
from jobfleet.supervisor.liveness import Liveness, judge, why
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.messages import Overdue, Suspicion
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.procstat import ProcStat, read_stat
from jobfleet.supervisor.surroundings import Surroundings, Teller
from jobfleet.supervisor.worker import Worker

# Stacks of all threads are written at C level within milliseconds, whatever Python does.
DUMP_S: Final = 0.3
# A worker in trouble writes its stacks this long after it was noticed, or at half its deadline.
_DUMP_AFTER_S: Final = 10.0
# `signals.DUMP_SIGNAL` of the worker, which this side does not import.
_DUMP_SIGNAL: Final = signal.SIGQUIT

_LIVE: Final = (WorkerState.READY, WorkerState.DRAINING)
_KILLED_FOR: Final = {
    Liveness.HUNG: Reason.HUNG,
    Liveness.GIL_STALLED: Reason.GIL_STALLED,
    Liveness.STOPPED: Reason.STOPPED,
}

Find = Callable[[int], tuple[Pool, Worker] | tuple[None, None]]


class _Case:
    """What is known of one suspect."""

    def __init__(self, pool: Pool, record: Worker, teller: Teller) -> None:
        self.pool = pool
        self.record = record
        self.teller = teller
        self.liveness = Liveness.BUSY
        self.since = 0.0
        self.text: str | None = None
        self.cpu_s: float | None = None
        self.looked_at = 0.0
        self.is_dumped = False
        self.is_killed = False

    def share(self, stat: ProcStat, now: float) -> float | None:
        """The processors' worth of time that it used since the last look; None at the first one."""
        before_s, passed_s = self.cpu_s, now - self.looked_at
        self.cpu_s, self.looked_at = stat.cpu_s, now
        return None if before_s is None or passed_s <= 0 else (stat.cpu_s - before_s) / passed_s

    def say(self, level: Level, message: str) -> None:
        """Tell of it in the log."""
        self.teller.say(level, f"worker {self.record.index} {message}", pid=self.record.pid)

    def publish(self, event: str, **fields: object) -> None:
        """Tell listeners of it."""
        self.teller.publish(event, worker=self.record.id, pid=self.record.pid, **fields)

    def dump(self) -> None:
        """Have it write the stacks of all its threads."""
        if self.record.child is not None:
            self.record.child.send(_DUMP_SIGNAL)


class Watchdog:
    """Follows up what the core's looks find. Everything happens on the supervisor's loop."""

    def __init__(self, around: Surroundings, find: Find) -> None:
        self._around = around
        self._find = find
        self._cases: dict[int, _Case] = {}

    def describe(self, worker: int, is_busy: bool) -> tuple[Liveness, str | None]:
        """What a worker does, and what is wrong with it."""
        case = self._cases.get(worker)
        if case is not None and case.liveness is not Liveness.BUSY:
            return case.liveness, case.text
        return (Liveness.BUSY if is_busy else Liveness.IDLE), None

    def is_stuck(self, pool: Pool) -> bool:
        """Whether every worker of a pool is in trouble."""
        workers = list(pool.crew)
        return bool(workers) and all(self.describe(worker.id, True)[1] is not None for worker in workers)

    def forget(self, worker: int) -> None:
        """It is dead."""
        self._cases.pop(worker, None)

    def look(self, suspicions: list[Suspicion]) -> None:
        """Take in what the core's last look found."""
        now = time.monotonic()
        for worker in self._cases.keys() - {suspicion.worker for suspicion in suspicions}:
            self._cleared(worker)
        for suspicion in suspicions:
            case = self._case(suspicion.worker)
            if case is not None and case.record.state in _LIVE and not case.is_killed:
                self._follow(case, suspicion, now)

    def overdue(self, event: Overdue) -> None:
        """A job is over its hard limit: stacks to the log, then the end of its process."""
        case = self._case(event.worker)
        if case is None or case.is_killed:
            return
        over = event.over
        text = (
            f"job {over.key} ({over.type}) ran for {over.ran_ms / 1000:.1f} s, "
            f"over its hard time limit of {over.limit_ms / 1000:g} s"
        )
        case.say(Level.ERROR, f"is killed after its stacks: {text}")
        case.publish("hard_time_limit", type=over.type, key=over.key, limit_ms=over.limit_ms)
        self._dump_and_kill(case, Reason.OVERDUE, text)

    # -- inside

    def _case(self, worker: int) -> _Case | None:
        case = self._cases.get(worker)
        if case is None:
            pool, record = self._find(worker)
            if pool is not None and record is not None:
                case = self._cases[worker] = _Case(pool, record, Teller(pool.plan.name, self._around))
        return case

    def _follow(self, case: _Case, suspicion: Suspicion, now: float) -> None:
        stat = read_stat(case.record.pid or 0)
        if stat is None:
            return
        liveness = judge(suspicion, stat.state, case.share(stat, now))
        text = None if liveness is Liveness.BUSY else why(suspicion, liveness, stat.state)
        if liveness is not case.liveness:
            self._changed(case, liveness, text, now)
        elif liveness is not Liveness.BUSY:
            case.text = text
            # Whoever debugs a worker wants it to live.
            if stat.state != "t":
                self._climb(case, now)

    def _changed(self, case: _Case, liveness: Liveness, text: str | None, now: float) -> None:
        was, case.liveness, case.text = case.liveness, liveness, text
        if was is Liveness.BUSY:
            case.since, case.is_dumped = now, False
        if liveness is Liveness.BUSY:
            case.say(Level.INFO, "moves again")
        else:
            case.say(Level.WARNING, f"is {liveness.value}: {text}")
        case.publish("worker_liveness", liveness=liveness.value, reason=text)
        if (was is Liveness.STOPPED) != (liveness is Liveness.STOPPED):
            # Of the others nobody knows for certain, and jobs that wait there leave when another worker is free.
            self._around.core.shun_worker(case.record.id, liveness is Liveness.STOPPED)

    def _climb(self, case: _Case, now: float) -> None:
        """Dump, then KILL, each at its time."""
        is_stopped, plan = case.liveness is Liveness.STOPPED, case.pool.plan
        limit_s = plan.stopped_timeout_s if is_stopped else plan.stalled_timeout_s
        waited_s = now - case.since
        if limit_s and waited_s >= limit_s:
            text = f"it was {case.liveness.value} for {waited_s:.0f} s, and {limit_s:g} s are allowed: {case.text}"
            case.say(Level.ERROR, f"is killed: {text}")
            self._around.core.condemn_worker(case.record.id, is_stopped)
            self._dump_and_kill(case, _KILLED_FOR[case.liveness], text)
        elif not is_stopped and not case.is_dumped and waited_s >= min(_DUMP_AFTER_S, (limit_s or 60.0) / 2):
            case.is_dumped = True
            case.say(Level.WARNING, f"is {case.liveness.value}; its stacks follow")
            case.dump()

    def _dump_and_kill(self, case: _Case, reason: Reason, text: str) -> None:
        case.is_killed = True
        case.record.error = text
        if reason is Reason.STOPPED:
            # It could not write them.
            case.record.stop(reason)
            return
        case.dump()
        self._around.loop.call_later(DUMP_S, self._kill, case.record, reason)

    def _kill(self, record: Worker, reason: Reason) -> None:
        if record.state is not WorkerState.DEAD:
            record.stop(reason)

    def _cleared(self, worker: int) -> None:
        """Not a suspect any more: while one is shunned the core goes on telling of it."""
        if not self._cases[worker].is_killed:
            del self._cases[worker]
