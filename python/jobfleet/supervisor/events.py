"""Takes the core's events and hands each to whom it concerns."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from jobfleet.supervisor import messages
from jobfleet.supervisor.core import CoreLike
from jobfleet.supervisor.hub import Hub
from jobfleet.supervisor.log import Level, Log
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.worker import Worker

# Keys of jobs that one line of the log may name.
_KEYS_SHOWN = 20


class CoreEvents:
    """The supervisor's ear at the core."""

    def __init__(self, core: CoreLike, pools: list[Pool], log: Log, hub: Hub, drained: Callable[[], None]) -> None:
        self._core = core
        self._pools = pools
        self._log = log
        self._hub = hub
        self._drained = drained
        self.engine_state = "unknown"

    def take(self) -> None:
        """Hear everything that waits."""
        for raw in self._core.take_events():
            try:
                event = messages.read_event(raw)
            except msgspec.DecodeError as error:
                self._log.warning(f"an event of the core is not understood: {error}")
                continue
            self._hear(event)

    def _hear(self, event: messages.Event) -> None:
        if isinstance(event, messages.Log):
            self._record(event)
        elif isinstance(event, messages.EngineState):
            self._engine(event)
        elif isinstance(event, messages.Drained):
            self._drained()
        elif isinstance(event, messages.Buried):
            self._buried(event)
        elif isinstance(event, messages.JobRejected):
            self._log.warning(f"the engine rejects an outcome: {event.message}", type=event.type, key=event.key)
            self._hub.publish("job_rejected", type=event.type, key=event.key, message=event.message)
        elif isinstance(event, messages.Dropped):
            self._log.warning(f"{event.count} log records of handlers were dropped: more than the fleet takes")
        else:
            self._worker_event(event)

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

    def _record(self, event: messages.Log) -> None:
        _, worker = self._find(event.worker)
        fields = {**event.record, "type": event.type, "key": event.key}
        message = str(fields.pop("message", ""))
        source = worker.output.source if worker else "worker"
        account = worker.output.account if worker else self._log.account
        self._log.line(Level.of(event.level), source, message, fields, account)

    def _engine(self, event: messages.EngineState) -> None:
        self.engine_state = event.state
        say = self._log.info if event.state == "up" else self._log.warning
        say(event.message or f"the engine is {event.state}", engine=event.state)
        self._hub.publish("engine", state=event.state, message=event.message)

    def _buried(self, event: messages.Buried) -> None:
        if event.settled or event.requeued or event.handed_back:
            keys = [str(job.key) for job in event.jobs[:_KEYS_SHOWN]]
            self._log.info(
                f"{event.reason}: of its jobs {event.settled} settled, "
                f"{event.requeued} for other workers, {event.handed_back} handed back",
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
            jobs=jobs,
        )
