"""Takes the core's events and hands each to whom it concerns."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from jobfleet.auth.keeper import Keeper
from jobfleet.supervisor import messages
from jobfleet.supervisor.log import Level
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.surroundings import Surroundings
from jobfleet.supervisor.watchdog import Watchdog
from jobfleet.supervisor.worker import Worker

# Keys of jobs that one line of the log may name.
_KEYS_SHOWN: Final = 20
# Records of handlers that may wait here, and how many are written before others get their turn.
_RECORDS_WAITING: Final = 20_000
_RECORDS_A_TURN: Final = 100
# How the core writes the beginning of such an event; written otherwise it would only lose its place in the queue.
_LOG_EVENT: Final = b'{"event":"log"'


class CoreEvents:
    """The supervisor's ear at the core."""

    def __init__(
        self,
        around: Surroundings,
        pools: Iterable[Pool],
        drained: Callable[[], None],
        failed: Callable[[str], None],
        keeper: Keeper | None = None,
    ) -> None:
        """`pools` is asked anew for every event; `failed` is told why the core has ended."""
        self._core = around.core
        self._log = around.log
        self._hub = around.hub
        self._changed = around.changed
        self._pools = pools
        self._drained = drained
        self._failed = failed
        self._keeper = keeper
        self._loop = around.loop
        self._records: deque[bytes] = deque()
        self._records_dropped = 0
        self._is_recording = False
        self.engine_state = "unknown"
        self.watchdog = Watchdog(around, self._find)

    def take(self) -> None:
        """Hear everything that waits; records of handlers last and little by little, since they can come in floods."""
        for raw in self._core.take_events():
            if not raw.startswith(_LOG_EVENT):
                self._hear_raw(raw)
            elif len(self._records) < _RECORDS_WAITING:
                self._records.append(raw)
            else:
                self._records_dropped += 1
        if self._records and not self._is_recording:
            self._is_recording = True
            self._loop.call_soon(self._take_records)

    def finish(self) -> None:
        """Hear all that is left: the fleet ends."""
        self.take()
        while self._records:
            self._hear_raw(self._records.popleft())

    def _take_records(self) -> None:
        """Write some records; the loop serves everything else in between."""
        for _ in range(min(_RECORDS_A_TURN, len(self._records))):
            self._hear_raw(self._records.popleft())
        if self._records:
            self._loop.call_soon(self._take_records)
            return
        self._is_recording = False
        dropped, self._records_dropped = self._records_dropped, 0
        if dropped:
            self._hear(messages.Dropped(dropped))

    def _hear_raw(self, raw: bytes) -> None:
        try:
            event = messages.read_event(raw)
        except msgspec.DecodeError as error:
            self._log.warning(f"an event of the core is not understood: {error}")
            return
        self._hear(event)

    def _hear(self, event: messages.Event) -> None:
        if isinstance(event, messages.Log):
            self._record(event)
        elif isinstance(event, messages.EngineState):
            self._engine(event)
        elif isinstance(event, messages.Notice):
            self._log.line(Level.of(event.level), "fleet", event.message, {}, self._log.account)
        elif isinstance(event, messages.Drained):
            self._drained()
        elif isinstance(event, messages.Buried):
            self._buried(event)
        elif isinstance(event, messages.Unauthorized):
            if self._keeper is not None:
                self._keeper.refused(event.header, event.message)
        elif isinstance(event, messages.JobRejected | messages.Polls):
            self._refused(event)
        elif isinstance(event, messages.Suspects | messages.Overdue | messages.JobConvicted):
            self._trouble(event)
        elif isinstance(event, messages.Disagreement | messages.TaskFailed | messages.CoreFailed):
            self._defect(event)
        elif isinstance(event, messages.Dropped):
            self._log.warning(f"{event.count} log records of handlers were dropped: more than the fleet takes")
        else:
            self._worker_event(event)

    def _trouble(self, event: messages.Suspects | messages.Overdue | messages.JobConvicted) -> None:
        if isinstance(event, messages.Suspects):
            self.watchdog.look(event.workers)
        elif isinstance(event, messages.Overdue):
            self.watchdog.overdue(event)
        else:
            self._log.error(f"job {event.key} is failed for good: {event.message}", type=event.type, key=event.key)
            self._forgive(event.worker, event.cleared)
            self._hub.publish("job_convicted", type=event.type, key=event.key, message=event.message)

    def _defect(self, event: messages.Disagreement | messages.TaskFailed | messages.CoreFailed) -> None:
        if isinstance(event, messages.Disagreement):
            self._log.error(f"a defect of jobfleet, mended: {event.what}")
            self._hub.publish("slot_audit", what=event.what)
        elif isinstance(event, messages.TaskFailed):
            self._log.error(f"a defect of jobfleet, survived: the {event.task} has failed: {event.message}")
            self._hub.publish("task_failed", task=event.task, message=event.message)
        else:
            self._hub.publish("core_failed", message=event.message)
            self._failed(event.message)

    def _worker_event(
        self,
        event: messages.WorkerReady | messages.WorkerStartFailed | messages.WorkerBroken | messages.WorkerDrained,
    ) -> None:
        pool, worker = self._find(event.worker)
        if pool is None or worker is None:
            # It died while the event was on its way.
            return
        if isinstance(event, messages.WorkerReady):
            pool.crew.ready(worker)
        elif isinstance(event, messages.WorkerStartFailed):
            pool.crew.start_failed(worker, event.error)
        elif isinstance(event, messages.WorkerBroken):
            pool.crew.broken(worker, event.error)

    def _find(self, worker: int) -> tuple[Pool, Worker] | tuple[None, None]:
        for pool in self._pools:
            record = pool.crew.workers.get(worker)
            if record is not None:
                return pool, record
        return None, None

    def _forgive(self, worker: int, deaths: int = 1) -> None:
        for pool in self._pools:
            record = pool.crew.recall(worker)
            if record is not None:
                pool.crew.forgive(record, deaths)

    def _record(self, event: messages.Log) -> None:
        known = (pool.crew.recall(event.worker) for pool in self._pools)
        worker = next(filter(None, known), None)
        fields = {**event.record, "type": event.type, "key": event.key}
        message = str(fields.pop("message", ""))
        source = worker.output.source if worker else "worker"
        account = worker.output.account if worker else self._log.account
        self._log.line(Level.of(event.level), source, message, fields, account)

    def _engine(self, event: messages.EngineState) -> None:
        self.engine_state = event.state
        if self._keeper is not None and event.state == "up":
            self._keeper.accepted()
        say = self._log.info if event.state == "up" else self._log.warning
        say(event.message or f"the engine is {event.state}", engine=event.state)
        self._hub.publish("engine", state=event.state, message=event.message)
        self._changed()

    def _refused(self, event: messages.JobRejected | messages.Polls) -> None:
        if isinstance(event, messages.JobRejected):
            self._log.warning(f"the engine rejects an outcome: {event.message}", type=event.type, key=event.key)
            self._hub.publish("job_rejected", type=event.type, key=event.key, message=event.message)
            return
        if event.refused:
            self._log.warning(f"the engine refuses the polls of a type: {event.message}", type=event.type)
        else:
            self._log.info(event.message, type=event.type)
        self._hub.publish("polls", type=event.type, refused=event.refused, message=event.message)

    def _buried(self, event: messages.Buried) -> None:
        self.watchdog.forget(event.worker)
        if event.blamed:
            self._forgive(event.worker)
        if event.settled or event.requeued or event.handed_back or event.failed:
            keys = [str(job.key) for job in event.jobs[:_KEYS_SHOWN]]
            self._log.info(
                f"{event.reason}: of its jobs {event.settled} settled, "
                f"{event.requeued} for other workers, {event.handed_back} handed back"
                + (f", {event.failed} failed" if event.failed else ""),
                keys=keys or None,
            )
        jobs = msgspec.to_builtins(event.jobs)
        self._hub.publish(
            "worker_buried",
            worker=event.worker,
            reason=event.reason,
            settled=event.settled,
            requeued=event.requeued,
            handed_back=event.handed_back,
            failed=event.failed,
            jobs=jobs,
        )
