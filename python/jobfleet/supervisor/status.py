"""What `/v1/status` says; the same model on the side of the client."""

from __future__ import annotations

import os
import time
from importlib.metadata import PackageNotFoundError, version
from typing import Final

import msgspec

from jobfleet.auth.keeper import AuthStatus
from jobfleet.supervisor.core import (
    CoreStatus,
    EngineStatus,
    Permits,
    PoisonStatus,
    Running,
    SlotAudit,
    TypeStatus,
    WorkerStatus,
    read_status,
)
from jobfleet.supervisor.facts import facts_of
from jobfleet.supervisor.fleet import Fleet
from jobfleet.supervisor.messages import HandlerSpec
from jobfleet.supervisor.pool import Pool
from jobfleet.supervisor.reloadorder import ReloadOutcome
from jobfleet.supervisor.watchdog import Watchdog
from jobfleet.supervisor.worker import Worker


class ProcessStatus(msgspec.Struct, kw_only=True):
    """One worker process."""

    pid: int | None
    worker: int
    index: int
    state: str
    since: float
    busy: int = 0
    slots: int = 0
    queued: int = 0
    jobs: int = 0
    restarts: int = 0
    memory_bytes: int = 0
    cpu_s: float = 0.0
    running: list[Running] = []
    liveness: str = "idle"
    """idle, busy, gil-stalled, hung or stopped."""
    trouble: str | None = None
    """What is wrong with it, where something is."""


class PoolStatus(msgspec.Struct, kw_only=True):
    """One pool generation."""

    name: str
    generation: int
    state: str
    since: float
    reason: str | None
    """Why it is in this state, where that needs saying."""
    zygote_pid: int | None
    grace_left_s: float | None = None
    """Until what it still runs is handed back, when it drains while the fleet goes on."""
    size: int
    """How many worker processes it should have."""
    restarts: int
    handlers: list[HandlerSpec]
    processes: list[ProcessStatus]


class FleetInfo(msgspec.Struct, kw_only=True):
    """The supervisor."""

    name: str
    pid: int
    version: str
    state: str
    since: float
    uptime_s: float
    engine: EngineStatus
    credentials: AuthStatus
    socket: str
    grace_left_s: float | None
    memory_bytes: int = 0
    cpu_s: float = 0.0
    illegal_transitions: int


class Totals(msgspec.Struct, kw_only=True):
    """Sums over all job types."""

    activated: int = 0
    waiting: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    errors_thrown: int = 0
    handed_back: int = 0
    lost: int = 0
    expired: int = 0
    rejected: int = 0
    in_flight: int = 0
    held_polls: int = 0
    link_errors: int = 0
    task_failures: int = 0
    """Tasks of the core that panicked or hung, and were replaced."""
    restarts: int = 0


class FleetStatus(msgspec.Struct, kw_only=True):
    """Everything that `jobfleet status` shows."""

    fleet: FleetInfo
    pools: list[PoolStatus]
    """The generations in service."""
    generations: list[PoolStatus] = []
    """The others: on trial in a reload, or finishing their last jobs."""
    reload: ReloadOutcome | None = None
    """The reload that goes on, or the last one."""
    reload_queued: bool = False
    reloads: dict[str, int] = {}
    """How many ended how."""
    types: list[TypeStatus]
    permits: Permits
    totals: Totals
    slot_audit: SlotAudit = msgspec.field(default_factory=SlotAudit)
    poison: PoisonStatus = msgspec.field(default_factory=PoisonStatus)


read_fleet_status: Final = msgspec.json.Decoder(FleetStatus).decode


def fleet_status(fleet: Fleet) -> FleetStatus:
    """Look at everything that the supervisor and the core know, on the supervisor's loop."""
    core = read_status(fleet.core.status())
    workers = {worker.worker: worker for worker in core.workers}
    return FleetStatus(
        fleet=_info(fleet, core),
        pools=[_pool(pool, workers, fleet.events.watchdog) for pool in fleet.pools.current.values()],
        generations=[_pool(pool, workers, fleet.events.watchdog) for pool in fleet.pools.others],
        reload=fleet.reloader.present,
        reload_queued=fleet.reloader.is_queued,
        reloads=fleet.reloader.counts,
        types=core.types,
        permits=core.permits,
        totals=_totals(fleet, core),
        slot_audit=core.slot_audit,
        poison=core.poison,
    )


def with_facts(status: FleetStatus) -> FleetStatus:
    """Add what the system knows about each process. Reads files of /proc, so it belongs into a thread."""
    own = facts_of(status.fleet.pid)
    status.fleet.memory_bytes, status.fleet.cpu_s = own.memory_bytes, own.cpu_s
    for pool in [*status.pools, *status.generations]:
        for process in pool.processes:
            if process.pid is not None:
                facts = facts_of(process.pid)
                process.memory_bytes, process.cpu_s = facts.memory_bytes, facts.cpu_s
    return status


def program_version() -> str:
    """The version of jobfleet."""
    try:
        return version("jobfleet")
    except PackageNotFoundError:
        return "unknown"


def _info(fleet: Fleet, core: CoreStatus) -> FleetInfo:
    left = fleet.drain.grace_left_s
    return FleetInfo(
        name=fleet.settings.name,
        pid=os.getpid(),
        version=program_version(),
        state=fleet.life.state.value,
        since=fleet.life.since,
        uptime_s=round(time.time() - fleet.started_at, 3),
        engine=core.engine,
        credentials=fleet.keeper.status(),
        socket=str(fleet.socket_path),
        grace_left_s=None if left is None else round(left, 1),
        illegal_transitions=fleet.life.illegal,
    )


def _pool(pool: Pool, workers: dict[int, WorkerStatus], watchdog: Watchdog) -> PoolStatus:
    told = pool.load_error.error if pool.load_error else pool.why
    why = told or (pool.life.reason.value if pool.life.reason else None)
    return PoolStatus(
        name=pool.plan.name,
        generation=pool.generation,
        state=pool.life.state.value,
        since=pool.life.since,
        reason=why,
        zygote_pid=pool.zygote_pid,
        grace_left_s=None if pool.grace_left_s is None else round(pool.grace_left_s, 1),
        size=pool.crew.size,
        restarts=pool.restarts,
        handlers=pool.handlers.handlers if pool.handlers else [],
        processes=[_process(worker, workers.get(worker.id), watchdog) for worker in pool.crew],
    )


def _process(worker: Worker, seen: WorkerStatus | None, watchdog: Watchdog) -> ProcessStatus:
    status = ProcessStatus(
        pid=worker.pid,
        worker=worker.id,
        index=worker.index,
        state=worker.state.value,
        since=worker.life.since,
        restarts=worker.restarts,
    )
    if seen is not None:
        status.busy, status.slots, status.queued = seen.busy, seen.slots, seen.queued
        status.jobs, status.running = seen.jobs, seen.running
    liveness, status.trouble = watchdog.describe(worker.id, status.busy > 0)
    status.liveness = liveness.value
    return status


def _totals(fleet: Fleet, core: CoreStatus) -> Totals:
    totals = Totals(
        in_flight=core.in_flight,
        held_polls=core.held_polls,
        link_errors=core.link_errors,
        task_failures=core.task_failures,
        restarts=sum(pool.restarts for pool in fleet.pools.current.values()),
        waiting=sum(kind.waiting for kind in core.types),
        running=sum(kind.running for kind in core.types),
    )
    for name in core.totals.__struct_fields__:
        setattr(totals, name, getattr(core.totals, name))
    return totals
