"""What the supervisor says to zygotes and hears from them and from the core."""

from __future__ import annotations

from typing import Any, Final

import msgspec


class HandlerSpec(msgspec.Struct, kw_only=True):
    """One handler as the zygote found it."""

    type: str
    name: str
    file: str
    line: int
    strategy: str
    lane: int
    slots: int
    lease_ms: int | None = None
    renew: bool = True
    fetch: list[str] | None = None
    tenants: list[str] | None = None
    tenant_filter: str | None = None
    hold_ms: int | None = None
    max_jobs: int | None = None
    max_bytes: int | None = None
    time_limit_ms: int | None = None
    hard_time_limit_ms: int | None = None


class Limits(msgspec.Struct, kw_only=True):
    """Time limits of handlers that say nothing about theirs."""

    soft_ms: int | None = None
    hard_ms: int | None = None


class Load(msgspec.Struct, tag_field="op", tag="load", kw_only=True):
    """Ask a zygote to import the handlers of a pool."""

    pool: str
    generation: int
    handlers: list[str]
    slots: int | None
    preload: bool
    supervisor_pid: int
    limits: Limits = msgspec.field(default_factory=Limits)


class Fork(msgspec.Struct, tag_field="op", tag="fork"):
    """Ask for a worker. Goes with the descriptors of link, recorder and output."""

    worker: int
    index: int


class Loaded(msgspec.Struct, tag_field="op", tag="loaded", kw_only=True):
    """The handlers are imported."""

    handlers: list[HandlerSpec]
    lanes: list[tuple[str, int]]
    notes: list[str] = []
    preload: bool = True
    modules: int = 0
    files: list[str] = []
    """The sources of the user's modules."""
    fingerprint: str = ""
    """Changes with any of these files."""


class LoadFailed(msgspec.Struct, tag_field="op", tag="load_failed", kw_only=True):
    """The handlers cannot be used: one sentence for the user, and the traceback."""

    error: str
    detail: str = ""
    path: str | None = None
    line: int | None = None


class Forked(msgspec.Struct, tag_field="op", tag="forked"):
    """A worker was forked."""

    worker: int
    pid: int


class ForkFailed(msgspec.Struct, tag_field="op", tag="fork_failed"):
    """A worker could not be forked."""

    worker: int
    error: str


class ZygoteForked(msgspec.Struct, tag_field="op", tag="zygote_forked"):
    """The first words of a zygote that was forked from a seed."""

    pid: int


Reply = Loaded | LoadFailed | Forked | ForkFailed | ZygoteForked
read_reply: Final = msgspec.json.Decoder(Loaded | LoadFailed | Forked | ForkFailed | ZygoteForked).decode


class WorkerReady(msgspec.Struct, tag_field="event", tag="worker_ready"):
    """A worker takes jobs."""

    worker: int


class WorkerStartFailed(msgspec.Struct, tag_field="event", tag="worker_start_failed"):
    """A worker says why it cannot take jobs; it leaves by itself."""

    worker: int
    error: str


class WorkerBroken(msgspec.Struct, tag_field="event", tag="worker_broken"):
    """A worker sent what is no frame; it must be killed."""

    worker: int
    error: str


class WorkerDrained(msgspec.Struct, tag_field="event", tag="worker_drained"):
    """The core has nothing more for a worker, and all its jobs are settled."""

    worker: int


class JobRef(msgspec.Struct):
    """A job in a message."""

    type: str
    key: str | int


class Buried(msgspec.Struct, tag_field="event", tag="buried"):
    """What became of a dead worker's jobs."""

    worker: int
    reason: str
    settled: int = 0
    requeued: int = 0
    handed_back: int = 0
    failed: int = 0
    """Jobs that were failed: for a time limit, or as poison."""
    blamed: bool = False
    """Whether a job is to blame and not the pool."""
    jobs: list[JobRef] = []


class OverLimit(msgspec.Struct):
    """A job that runs for longer than its time limit."""

    type: str
    key: str | int
    limit_ms: int
    ran_ms: int


class Overdue(msgspec.Struct, tag_field="event", tag="overdue"):
    """A job is over its hard time limit: its worker must be killed."""

    worker: int
    over: OverLimit


class Suspicion(msgspec.Struct, kw_only=True):
    """A worker that has work and does not move, as far as its flight recorder tells."""

    worker: int
    quiet_ms: int = 0
    running: int = 0
    slots: int = 1
    starved: bool = False
    """A lane has room, and does not start the jobs that wait for it."""
    over: list[OverLimit] = []


class Suspects(msgspec.Struct, tag_field="event", tag="suspects"):
    """All such workers: each second while there are any, and once an empty list after that."""

    workers: list[Suspicion]


class JobConvicted(msgspec.Struct, tag_field="event", tag="job_convicted"):
    """A job that kills its worker again and again was failed with no retries left."""

    worker: int
    """The last one that it has killed."""
    cleared: int
    """How many of those deaths have counted against the pool."""
    type: str
    key: str | int
    message: str


class Disagreement(msgspec.Struct, tag_field="event", tag="disagreement"):
    """The core's books disagreed; it has mended them."""

    what: str


class TaskFailed(msgspec.Struct, tag_field="event", tag="task_failed"):
    """A task of the core panicked or hung; the message says what follows."""

    task: str
    message: str


class CoreFailed(msgspec.Struct, tag_field="event", tag="core_failed"):
    """The core has ended by itself: nothing will happen any more."""

    message: str


class Log(msgspec.Struct, tag_field="event", tag="log"):
    """A record of `job.log`, or a line that a handler printed."""

    worker: int
    level: int
    record: dict[str, Any]
    type: str | None = None
    key: str | int | None = None


class Drained(msgspec.Struct, tag_field="event", tag="drained"):
    """Activation has ended and nothing is in flight any more."""


class EngineState(msgspec.Struct, tag_field="event", tag="engine"):
    """The engine can be reached, or no longer."""

    state: str
    message: str = ""


class Notice(msgspec.Struct, tag_field="event", tag="notice"):
    """Something about the core that the log should have; levels are those of the standard library."""

    level: int
    message: str


class Unauthorized(msgspec.Struct, tag_field="event", tag="unauthorized"):
    """The engine refused the header with this number: 0 for the one of the settings, one more for each new one."""

    header: int
    message: str = ""


class JobRejected(msgspec.Struct, tag_field="event", tag="job_rejected"):
    """The engine refused an outcome for good; the job was failed with the engine's words."""

    type: str
    key: str | int
    message: str


class Polls(msgspec.Struct, tag_field="event", tag="polls"):
    """The engine refuses what the polls of a type ask for, or takes it again."""

    type: str
    refused: bool
    message: str


class Dropped(msgspec.Struct, tag_field="event", tag="dropped"):
    """Events that nobody took in time."""

    count: int


Event = (
    WorkerReady
    | WorkerStartFailed
    | WorkerBroken
    | WorkerDrained
    | Buried
    | Log
    | Drained
    | EngineState
    | Notice
    | Unauthorized
    | JobRejected
    | Polls
    | JobConvicted
    | Overdue
    | Suspects
    | Disagreement
    | TaskFailed
    | CoreFailed
    | Dropped
)
read_event: Final = msgspec.json.Decoder(Event).decode
encode: Final = msgspec.json.Encoder().encode
