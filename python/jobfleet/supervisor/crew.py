"""The workers of one pool: forks them, buries them, replaces them by the restart policy."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Final, Protocol

from jobfleet.config.model import PoolPlan
from jobfleet.supervisor.core import read_status
from jobfleet.supervisor.lifecycle import Reason, WorkerState
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.output import Output
from jobfleet.supervisor.reaper import Exit
from jobfleet.supervisor.restart import PROBATION_S
from jobfleet.supervisor.surroundings import Surroundings, Teller
from jobfleet.supervisor.vacancies import Vacancies
from jobfleet.supervisor.worker import Worker, new_life

# A worker that says that its start failed leaves by itself; after this it is helped.
_LEAVE_S: Final = 2.0
# Dead workers whose last words may still be on their way.
_REMEMBERED: Final = 64


class Forker(Protocol):
    """A zygote, as far as forking goes."""

    @property
    def can_fork(self) -> bool: ...
    def fork(self, worker: int, index: int, fds: tuple[int, int, int]) -> None: ...


class CrewOwner(Protocol):
    """The pool, as its crew sees it."""

    def crew_works(self) -> None: ...
    def crew_broke(self, reason: Reason) -> None: ...
    def crew_changed(self) -> None: ...
    def crew_failed(self, error: str) -> None: ...


class Crew:
    """Keeps one worker alive for each index, as long as nobody says drain."""

    def __init__(self, plan: PoolPlan, around: Surroundings, teller: Teller, owner: CrewOwner) -> None:
        self._plan = plan
        self._around = around
        self._teller = teller
        self._owner = owner
        self._vacancies = Vacancies(plan.processes, around.loop, self.fork_wanted)
        self._pool_id = -1
        self._size = plan.processes
        self._at_once: int | None = None
        self._forker: Forker | None = None
        self._is_leaving = False
        # Workers that stay until another one of their index is ready.
        self._succession: dict[int, int] = {}
        self.last_words = ""
        self.workers: dict[int, Worker] = {}
        self._departed: dict[int, Worker] = {}

    def __iter__(self) -> Iterator[Worker]:
        return iter(sorted(self.workers.values(), key=lambda worker: worker.index))

    @property
    def size(self) -> int:
        """How many workers there should be."""
        return self._size

    @property
    def restarts(self) -> int:
        """How often a worker was replaced, over all indexes."""
        return self._vacancies.restarts

    @property
    def ready_count(self) -> int:
        """How many workers take jobs."""
        return sum(worker.state is WorkerState.READY for worker in self.workers.values())

    @property
    def has_ready(self) -> bool:
        """Whether any worker takes jobs."""
        return any(worker.state is WorkerState.READY for worker in self.workers.values())

    @property
    def is_broken(self) -> bool:
        """Whether a breaker is open."""
        return self._vacancies.policy.breaker is not None

    def recall(self, worker: int) -> Worker | None:
        """A worker that lives or has died lately."""
        return self.workers.get(worker) or self._departed.get(worker)

    def hire(self, pool_id: int, at_once: int | None = None) -> None:
        """Want a worker for every index, all of the core's pool `pool_id`; no more than `at_once` start together."""
        self._pool_id = pool_id
        self._at_once = at_once
        self._vacancies.open(range(self._size))

    def resize(self, size: int) -> None:
        """Have as many workers as this: start more, or let those with the highest indexes finish and leave."""
        before, self._size = self._size, size
        self._vacancies.resize(size)
        for worker in self.workers.values():
            if worker.index >= size and not worker.is_dismissed:
                self._dismiss(worker, Reason.SCALED_DOWN)
        if self._pool_id >= 0:
            self._vacancies.open(range(before, size))
        self._vacancies.unpark_probe()
        self.fork_wanted()

    def use(self, forker: Forker | None) -> None:
        """Fork from this zygote from now on; None when there is none."""
        self._forker = forker
        self.fork_wanted()

    def fork_wanted(self) -> None:
        """Ask for as many of the wanted workers as the zygote takes now."""
        while self._vacancies and self._has_room() and self._forker is not None and self._forker.can_fork:
            self._fork(self._forker, self._vacancies.take())

    def hurry(self) -> None:
        """Start as many workers together as the zygote takes."""
        self._at_once = None
        self.fork_wanted()

    def recycle(self, worker: Worker, *, replacement_first: bool) -> bool:
        """Replace a worker that works; False while others start or wait to."""
        busy = self._succession or not self._vacancies.is_settled
        if busy or any(other.state is WorkerState.STARTING for other in self.workers.values()):
            return False
        if replacement_first:
            self._succession[worker.index] = worker.id
        else:
            self._dismiss(worker, Reason.RECYCLED)
        self._vacancies.want(worker.index)
        return True

    def drain(self, reason: Reason = Reason.DRAIN) -> None:
        """Let every worker finish what it runs and leave; replace nobody from now on."""
        self._is_leaving = True
        self._vacancies.close()
        for worker in self.workers.values():
            self._dismiss(worker, reason)

    @property
    def dismissed(self) -> list[Worker]:
        """Workers that have been told to leave and have not left."""
        return [worker for worker in self.workers.values() if worker.is_dismissed]

    def stop(self, reason: Reason) -> None:
        """Kill every worker."""
        for worker in self.workers.values():
            worker.stop(reason)

    def abandon(self) -> None:
        """Kill every worker; nobody waits for their end."""
        for worker in self.workers.values():
            worker.clear_deadline()
            if worker.child is not None:
                worker.child.kill()
            worker.output.finish()

    def recover(self) -> None:
        """Start the workers that waited for the pool's recovery."""
        self._vacancies.recover()

    # -- what the zygote says

    def forked(self, worker: int, pid: int) -> None:
        """A worker process exists."""
        record = self.workers[worker]
        record.output.start(f"{self._plan.name}/{pid}")
        watched = self._around.reaper.watch(pid, lambda how: self._died(record, how))
        if isinstance(watched, Exit):
            self._died(record, watched)
            return
        record.child = watched
        self._publish("worker_forked", record)
        if record.state is WorkerState.STOPPING:
            watched.kill()
        elif record.state is WorkerState.STARTING:
            self._set_deadline(record, self._plan.start_timeout_s, self._start_overdue)
        self.fork_wanted()

    def fork_failed(self, worker: int, error: str) -> None:
        """A worker could not be forked."""
        record = self.workers[worker]
        self._teller.say(Level.ERROR, f"worker {record.index} could not be forked: {error}")
        self._bury(record, Reason.FORK_FAILED, f"could not be forked: {error}")
        if not record.is_dismissed:
            self._replace(record.index)

    def fork_lost(self, worker: int) -> None:
        """The zygote died before it answered; the next one is asked again."""
        record = self.workers[worker]
        self._bury(record, Reason.ZYGOTE_LOST, Reason.ZYGOTE_LOST.value)
        if not record.is_dismissed:
            self._vacancies.open([record.index])

    # -- what the core says

    def ready(self, record: Worker) -> None:
        """A worker takes jobs."""
        record.clear_deadline()
        if not record.life.leave(Reason.CAME_UP):
            return
        now_s = time.monotonic()
        self._publish("worker_ready", record, after_ms=round((now_s - record.requested_at) * 1000, 1))
        self._vacancies.policy.ready(record.index, now_s)
        if self.is_broken:
            self._around.loop.call_later(PROBATION_S + 0.1, self._after_probation, record.index)
        self._succeed(record)
        self._owner.crew_works()
        self.fork_wanted()

    def start_failed(self, record: Worker, error: str) -> None:
        """A worker says why it cannot take jobs."""
        record.error = error
        self._teller.say(Level.ERROR, f"worker {record.index} cannot start: {error}", pid=record.pid)
        record.life.leave(Reason.START_FAILED)
        self._set_deadline(record, _LEAVE_S, lambda late: late.stop(Reason.START_FAILED))
        self._owner.crew_failed(f"worker {record.index} cannot start: {error}")

    def broken(self, record: Worker, error: str) -> None:
        """A worker sent what is no frame."""
        record.error = error
        self._teller.say(Level.ERROR, f"worker {record.index} is killed: {error}", pid=record.pid)
        record.stop(Reason.BROKEN_LINK)

    def forgive(self, record: Worker, deaths: int) -> None:
        """So many deaths, its own the latest, were one job's fault: it is replaced at once; no breaker counts them."""
        self._vacancies.forgive(record.index, deaths)

    # -- inside

    def _has_room(self) -> bool:
        if self._at_once is None:
            return True
        starting = sum(worker.state is WorkerState.STARTING for worker in self.workers.values())
        return starting < self._at_once

    def _succeed(self, record: Worker) -> None:
        """A new worker is ready: the one that waited for it may go."""
        before = self.workers.get(self._succession.pop(record.index, -1))
        if before is not None and before is not record and not before.is_dismissed:
            self._dismiss(before, Reason.RECYCLED)

    def _has_another(self, index: int) -> bool:
        """Whether a worker of this index lives on, or is about to."""
        staffed = any(worker.index == index and not worker.is_dismissed for worker in self.workers.values())
        return staffed or index in self._vacancies

    def _dismiss(self, worker: Worker, reason: Reason) -> None:
        worker.dismiss(reason)
        self._around.core.drain_worker(worker.id)

    def _fork(self, forker: Forker, index: int) -> None:
        """Ask for one worker; without descriptors for it this counts as a death before the start."""
        try:
            worker, link_fd, recorder_fd = self._around.core.add_worker(self._pool_id)
        except OSError as error:
            self._unborn(index, error)
            return
        try:
            output_fd, output_end = os.pipe()
        except OSError as error:
            os.close(link_fd)
            os.close(recorder_fd)
            self._around.core.worker_dead(worker, "was never forked")
            self._unborn(index, error)
            return
        output = Output(output_fd, self._around.log, self._around.loop)
        self.workers[worker] = Worker(
            worker, index, self._vacancies.restarts_of(index), output, new_life(self._teller.defect)
        )
        try:
            forker.fork(worker, index, (link_fd, recorder_fd, output_end))
        except OSError as error:
            self.fork_failed(worker, str(error))

    def _unborn(self, index: int, error: OSError) -> None:
        self._teller.say(Level.ERROR, f"worker {index} gets no descriptors: {error}")
        self._replace(index)

    def _start_overdue(self, record: Worker) -> None:
        record.error = (
            f"not ready within {self._plan.start_timeout_s:g} s; see its on_start hooks or raise start_timeout"
        )
        self._teller.say(Level.ERROR, f"worker {record.index} is killed: {record.error}", pid=record.pid)
        record.stop(Reason.START_TIMED_OUT)
        self._owner.crew_failed(f"worker {record.index} is {record.error}")

    def _died(self, record: Worker, how: Exit) -> None:
        left = record.state is WorkerState.DRAINING and how.status == 0
        who = f"worker process {record.pid}" if record.pid else "a worker process"
        why = f": {record.error}" if record.error else ""
        jobs = self._jobs_done(record)
        # What it was stopped for says more than that it is dead.
        cause = record.life.reason if record.state is WorkerState.STOPPING else None
        self.last_words = record.error or f"{who} {how}"
        self._bury(record, Reason.LEFT if left else Reason.DIED, f"{who} {how}{why}")
        if not record.is_dismissed:
            self._replace(record.index, jobs)
        if not left:
            self._teller.say(Level.WARNING, f"worker {record.index} {how}", pid=record.pid, error=record.error)
        cause = cause or record.life.reason or Reason.DIED
        self._publish("worker_died", record, reason=str(how), cause=cause.name.lower())

    def _bury(self, record: Worker, reason: Reason, what: str) -> None:
        """A worker is dead, or was never born: its jobs go on without it."""
        self._around.core.worker_dead(record.id, what)
        record.life.leave(reason)
        record.clear_deadline()
        self._departed[record.id] = self.workers.pop(record.id)
        if len(self._departed) > _REMEMBERED:
            del self._departed[next(iter(self._departed))]
        self._around.loop.call_soon(record.output.finish)
        self._owner.crew_changed()

    def _jobs_done(self, record: Worker) -> int:
        """Asked only where the answer matters: it costs more than the rest of a replacement."""
        if record.is_dismissed or not self._vacancies.policy.has_streak(record.index):
            return 0
        status = read_status(self._around.core.status())
        return next((worker.jobs for worker in status.workers if worker.worker == record.id), 0)

    def _replace(self, index: int, jobs: int = 0) -> None:
        """Decide when the worker of `index` is replaced, and count that as a restart."""
        if self._is_leaving:
            return
        self._succession.pop(index, None)
        if self._has_another(index):
            return
        opened = self._vacancies.died(index, jobs)
        if opened is not None:
            self._owner.crew_broke(opened)

    def _after_probation(self, index: int) -> None:
        if self._vacancies.policy.survived_probation(index, time.monotonic()):
            self._owner.crew_works()

    def _set_deadline(self, record: Worker, after_s: float, act: Callable[[Worker], None]) -> None:
        record.clear_deadline()
        record.set_deadline(self._around.loop.call_later(after_s, act, record))

    def _publish(self, event: str, record: Worker, **fields: object) -> None:
        self._teller.publish(event, worker=record.id, index=record.index, pid=record.pid, **fields)
