"""The core as the supervisor uses it, and what its status says."""

from __future__ import annotations

from typing import Any, Final, Protocol

import msgspec

from jobfleet.auth.make import Credentials
from jobfleet.config.engine_url import EngineAddress
from jobfleet.config.model import Settings
from jobfleet.config.tls import core_tls
from jobfleet.supervisor.messages import Loaded


class CoreLike(Protocol):
    """`jobfleet._core.Core`, as far as the supervisor drives it."""

    def start(self) -> None: ...
    def declare_pool(self, spec: bytes) -> int: ...
    def retire_pool(self, pool_id: int) -> None: ...
    def switch_pools(self, begin: list[int], end: list[int]) -> None: ...
    def pause_pool(self, pool_id: int, reason: str | None) -> None: ...
    def give_up_workers(self, worker_ids: list[int], reason: str) -> None: ...
    def add_worker(self, pool_id: int) -> tuple[int, int, int]: ...
    def drain_worker(self, worker_id: int) -> None: ...
    def worker_dead(self, worker_id: int, reason: str) -> None: ...
    def shun_worker(self, worker_id: int, shunned: bool) -> None: ...
    def condemn_worker(self, worker_id: int, blameless: bool) -> None: ...
    @property
    def beats(self) -> int: ...
    def set_authorization(self, value: str | None) -> None: ...
    def set_grace(self, grace_ms: int) -> None: ...
    def stop_activation(self) -> None: ...
    def give_up(self, reason: str) -> None: ...
    @property
    def event_fd(self) -> int: ...
    def take_events(self) -> list[bytes]: ...
    def status(self) -> bytes: ...
    def stop(self) -> None: ...


class Running(msgspec.Struct):
    """A job that runs now."""

    lane: int
    slot: int
    type: str
    key: str | int
    since_ms: int


class WorkerStatus(msgspec.Struct):
    """One worker as the core sees it."""

    worker: int
    pool_id: int
    state: str
    busy: int = 0
    slots: int = 0
    queued: int = 0
    jobs: int = 0
    running: list[Running] = []


class Percentiles(msgspec.Struct):
    """A distribution, in microseconds."""

    p50: float = 0
    p90: float = 0
    p99: float = 0
    max: float = 0


class TypeStatus(msgspec.Struct, kw_only=True):
    """One job type of one pool."""

    type: str
    pool: str = ""
    activated: int = 0
    waiting: int = 0
    dispatched: int = 0
    running: int = 0
    completed: int = 0
    failed: int = 0
    errors_thrown: int = 0
    handed_back: int = 0
    lost: int = 0
    expired: int = 0
    rejected: int = 0
    held_polls: int = 0
    settling: int = 0
    refusals: int = 0
    """Polls that the engine pushed back."""
    most_per_answer: int | None = None
    """Jobs that one poll asks for at most, since a larger answer could not be sent."""
    poll_error: str | None = None
    """What went wrong with the latest poll, if something did."""
    latency_us: Percentiles = msgspec.field(default_factory=Percentiles)
    run_us: Percentiles = msgspec.field(default_factory=Percentiles)
    wait_us: Percentiles = msgspec.field(default_factory=Percentiles)


class EngineStatus(msgspec.Struct, kw_only=True):
    """The engine as the core sees it."""

    kind: str
    url: str
    version: str | None = None
    state: str = "unknown"
    message: str | None = None
    poll_connections: int = 0
    outcome_connections: int = 0
    poll_streams: int = 0
    outcome_streams: int = 0
    connections_opened: int = 0


class Permits(msgspec.Struct, kw_only=True):
    """Back-pressure: how many requests may be in flight."""

    cap: int | None = None
    in_use: int = 0
    state: str = "healthy"
    refusals: int = 0
    outcome_limit: int = 0
    """Outcomes that may be on their way at once."""
    outcome_refusals: int = 0


class SlotAudit(msgspec.Struct, kw_only=True):
    """How often permits, slots and ledger were compared, and what came of it."""

    checks: int = 0
    disagreements: int = 0
    mended: int = 0


class PoisonStatus(msgspec.Struct, kw_only=True):
    """Jobs that ran while a worker died."""

    suspects: int = 0
    convicted: int = 0


class Counters(msgspec.Struct, kw_only=True):
    """Sums over all job types that the fleet ever had."""

    activated: int = 0
    completed: int = 0
    failed: int = 0
    errors_thrown: int = 0
    handed_back: int = 0
    lost: int = 0
    expired: int = 0
    rejected: int = 0


class CoreStatus(msgspec.Struct, kw_only=True):
    """The state of the data path."""

    engine: EngineStatus
    types: list[TypeStatus] = []
    totals: Counters = msgspec.field(default_factory=Counters)
    workers: list[WorkerStatus] = []
    permits: Permits = msgspec.field(default_factory=Permits)
    generations: int = 0
    in_flight: int = 0
    held_polls: int = 0
    activating: bool = False
    link_errors: int = 0
    task_failures: int = 0
    """Tasks of the core that panicked or hung, and were replaced."""
    slot_audit: SlotAudit = msgspec.field(default_factory=SlotAudit)
    poison: PoisonStatus = msgspec.field(default_factory=PoisonStatus)


read_status: Final = msgspec.json.Decoder(CoreStatus).decode


def core_settings(settings: Settings, engine: EngineAddress, host: str, credentials: Credentials) -> bytes:
    """`CoreSettings` of the contract with the core."""
    hold = settings.engine.hold
    document = {
        "engine": {
            "kind": engine.kind,
            "url": engine.url,
            "tls": core_tls(settings.engine.tls),
            "http2": settings.engine.http2,
            "proxy": settings.engine.proxy.reveal() if settings.engine.proxy else None,
            "connection_max_age_ms": settings.engine.connection_max_age.ms,
        },
        "worker_name": settings.engine.worker_name or f"{host}-{settings.name}",
        "hold_ms": None if hold is None else hold.ms,
        "grace_ms": settings.grace.ms,
        "authorization": credentials.fixed.value if credentials.fixed else None,
        "await_authorization": credentials.source is not None,
        "byte_budget": int(settings.engine.byte_budget),
        "outcome_connections_max": settings.engine.outcome_connections_max,
        "backpressure": settings.engine.backpressure,
        "fencing": settings.engine.fencing,
        "late_completions": settings.engine.late_completions,
        "poll_jitter_ms": settings.engine.poll_jitter.ms,
        "poison_deaths": settings.poison_deaths,
        "deaths_cost_retries": settings.deaths_cost_retries,
        "look_every_ms": settings.look_every.ms,
    }
    return msgspec.json.encode(document)


def pool_spec(name: str, generation: int, loaded: Loaded, standby: bool = False) -> bytes:
    """`PoolSpec` of the contract with the core."""
    types = [
        {
            "type": handler.type,
            "lane": handler.lane,
            "slots": handler.slots,
            "lease_ms": handler.lease_ms,
            "renew": handler.renew,
            "fetch": handler.fetch,
            "tenants": handler.tenants or [],
            "tenant_filter": handler.tenant_filter or "provided",
            "hold_ms": handler.hold_ms,
            "max_jobs": handler.max_jobs,
            "time_limit_ms": handler.time_limit_ms,
            "hard_time_limit_ms": handler.hard_time_limit_ms,
        }
        for handler in loaded.handlers
    ]
    document: dict[str, Any] = {
        "name": name,
        "generation": generation,
        "lanes": loaded.lanes,
        "types": types,
        "standby": standby,
    }
    return msgspec.json.encode(document)
