"""The settings of a fleet: one typed model, with every default in one place.

`fleet.toml` has the shape of `Settings`; see `load` for the other sources, their precedence, and the checks, which
go field by field because only they know where a value comes from.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from jobfleet.config.auth import AuthSettings
from jobfleet.config.durations import Bounds, ByteSize, Duration
from jobfleet.config.secret import Secret
from jobfleet.config.tls import TlsSettings

Processes = Annotated[int, Meta(ge=1, le=4096)] | Literal["auto"]
Slots = Annotated[int, Meta(ge=1, le=100_000)]
Jobs = Annotated[int, Meta(ge=1)]

# A worker takes milliseconds at best, and 0 does not mean "never" here.
START_TIMEOUT = Bounds(Duration(0.1))

# The default pool of handlers that are given to `jobfleet run`.
DEFAULT_POOL = "default"


class EngineSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where the jobs come from, and how hard the fleet may pull."""

    url: Annotated[
        str | None,
        Meta(description="The engine, such as camunda+http://127.0.0.1:8080. Unset: an embedded local engine."),
    ] = None
    authorization: Annotated[
        Secret | None, Meta(description="Value of the Authorization header of every request to the engine.")
    ] = None
    hold: Annotated[
        Duration | None,
        Meta(
            description="How long the engine may hold an empty poll. Unset: 10s, and before Camunda 8.8 a third of the "
            "grace period, 3s at most: there a drain has to wait for held polls."
        ),
        Bounds(Duration(0.05)),
    ] = None
    worker_name: Annotated[str | None, Meta(description="Name of the fleet at the engine. Unset: host and fleet.")] = (
        None
    )
    byte_budget: Annotated[ByteSize, Meta(description="The most bytes that one answer with jobs should have.")] = (
        ByteSize(8 * 2**20)
    )
    outcome_connections_max: Annotated[
        int, Meta(ge=1, le=65_535, description="Most connections that report outcomes.")
    ] = 512
    backpressure: Annotated[
        Literal["balanced", "legacy"],
        Meta(description="How the fleet yields to an overloaded engine; legacy only counts refusals."),
    ] = "balanced"
    fencing: Annotated[
        bool,
        Meta(
            description="Lease jobs with tokens where the engine has them (Camunda 8.10). Switch off while workers "
            "without tokens serve the same job types: a job that was leased once is not given to those."
        ),
    ] = True
    late_completions: Annotated[
        bool,
        Meta(
            description="Complete a job whose handler ended after its lease, unless this fleet has been given the job "
            "again: where nobody else was, the work is not repeated. Without tokens (Camunda before 8.10) another "
            "fleet that was given the job may find it completed."
        ),
    ] = True
    poll_jitter: Annotated[Duration, Meta(description="Random delay of each job type's first poll, at most.")] = (
        Duration(0)
    )
    http2: Annotated[
        Literal["auto", "never", "always"],
        Meta(description='HTTP/2: "auto" where https offers it, "always" on http too, which has to be known before.'),
    ] = "auto"
    proxy: Annotated[
        Secret | None,
        Meta(description='HTTP proxy, http://[USER:PASSWORD@]HOST:PORT; "none" ignores HTTPS_PROXY and the like.'),
    ] = None
    connection_max_age: Annotated[
        Duration,
        Meta(description="Age at which a connection gives way to one to a newly resolved address."),
        Bounds(Duration(1)),
    ] = Duration(600)
    tls: Annotated[TlsSettings, Meta(description="Certificates, for https.")] = TlsSettings()


class HandlerDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """What handlers inherit that do not say it themselves."""

    lease: Annotated[
        Duration, Meta(description="For how long the engine reserves an activated job."), Bounds(Duration(0.1))
    ] = Duration(60)
    max_jobs: Annotated[
        Annotated[int, Meta(ge=1, le=1_000_000)] | None,
        Meta(description="Most jobs of a type that the fleet holds at once."),
    ] = None
    tenants: Annotated[list[str] | None, Meta(description="Tenants to take jobs from.")] = None
    tenant_filter: Annotated[
        Literal["provided", "assigned"] | None,
        Meta(description='"provided": the tenants above; "assigned": all that the credentials belong to.'),
    ] = None


class PoolSettings(msgspec.Struct, frozen=True, kw_only=True):
    """One pool. What is unset here is taken from the fleet."""

    handlers: Annotated[list[str], Meta(description="Files, folders and dotted modules that this pool loads.")]
    processes: Annotated[Processes | None, Meta(description="Worker processes of this pool.")] = None
    slots: Annotated[
        Slots | None, Meta(description="Ceiling of jobs at once in one process, for threads and async.")
    ] = None
    preload: Annotated[
        bool | None, Meta(description="Import handlers before the fork. Switch off for modules that cannot be forked.")
    ] = None
    start_timeout: Annotated[Duration | None, Meta(description="Time for a worker to become ready."), START_TIMEOUT] = (
        None
    )
    time_limit: Annotated[
        Duration | None,
        Meta(description="Run time after which a handler is told to stop, unless it has its own limit."),
    ] = None
    hard_time_limit: Annotated[
        Duration | None,
        Meta(description="Run time after which a worker is killed, unless its handler has its own limit."),
    ] = None
    stalled_timeout: Annotated[
        Duration | None, Meta(description="Time after which a worker that hangs or holds the GIL is killed.")
    ] = None
    stopped_timeout: Annotated[Duration | None, Meta(description="Time after which a stopped worker is killed.")] = None
    recycle_jobs: Annotated[
        Jobs | None, Meta(description="Replace a worker after about this many jobs. Unset: never.")
    ] = None
    recycle_age: Annotated[Duration | None, Meta(description="Replace a worker at about this age. Unset: never.")] = (
        None
    )
    recycle_growth: Annotated[
        ByteSize | None, Meta(description="Replace a worker that has grown by about this much memory. Unset: never.")
    ] = None


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set about a fleet."""

    name: Annotated[
        str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", description="Name of the fleet; names its socket too.")
    ] = "default"
    handlers: Annotated[list[str], Meta(description="Files, folders and dotted modules with handlers.")] = []
    processes: Annotated[
        Processes, Meta(description='Worker processes of each pool, or "auto": the processors this host grants.')
    ] = "auto"
    slots: Annotated[
        Slots | None, Meta(description="Ceiling of jobs at once in one process, for threaded and async handlers.")
    ] = None
    preload: Annotated[bool, Meta(description="Import handlers once, before workers are forked.")] = True
    grace: Annotated[Duration, Meta(description="Time for running handlers to finish after SIGTERM or SIGINT.")] = (
        Duration(30)
    )
    start_timeout: Annotated[
        Duration, Meta(description="Time for a worker to become ready, its on_start hooks included."), START_TIMEOUT
    ] = Duration(60)
    time_limit: Annotated[
        Duration,
        Meta(description="Run time after which a handler is told to stop, unless it has its own limit; 0: none."),
    ] = Duration(0)
    hard_time_limit: Annotated[
        Duration,
        Meta(description="Run time after which a worker is killed, unless its handler has its own limit; 0: none."),
    ] = Duration(0)
    stalled_timeout: Annotated[
        Duration, Meta(description="Time after which a worker that hangs or holds the GIL is killed; 0: never.")
    ] = Duration(300)
    stopped_timeout: Annotated[
        Duration, Meta(description="Time after which a stopped worker (SIGSTOP) is killed; 0: never.")
    ] = Duration(60)
    look_every: Annotated[
        Duration,
        Meta(description="Time between two looks for workers that do not move."),
        Bounds(Duration(0.02), Duration(1)),
    ] = Duration(1)
    poison_deaths: Annotated[
        int, Meta(ge=0, le=1000, description="The death of a worker that fails the job that ran alone in it; 0: none.")
    ] = 3
    deaths_cost_retries: Annotated[
        bool, Meta(description="Charge the jobs that a worker ran one retry for every death of it.")
    ] = False
    recycle_jobs: Annotated[
        Jobs | None, Meta(description="Replace a worker after about this many jobs. Unset: never.")
    ] = None
    recycle_age: Annotated[Duration | None, Meta(description="Replace a worker at about this age. Unset: never.")] = (
        None
    )
    recycle_growth: Annotated[
        ByteSize | None, Meta(description="Replace a worker that has grown by about this much memory. Unset: never.")
    ] = None
    socket: Annotated[
        Path | None,
        Meta(description="Unix socket of the control API. Unset: $XDG_RUNTIME_DIR/jobfleet/NAME.sock."),
    ] = None
    log_format: Annotated[Literal["text", "json"], Meta(description="Shape of the log lines on stderr.")] = "text"
    log_level: Annotated[
        Literal["debug", "info", "warning", "error", "silent"],
        Meta(description="The least severe lines of the log, handlers' records included."),
    ] = "debug"
    watch: Annotated[
        bool, Meta(description="Reload when a source file or the settings file changes. For development.")
    ] = False
    dumpable: Annotated[
        bool, Meta(description="Let profilers and debuggers of the same user attach to the supervisor.")
    ] = False
    pass_credentials: Annotated[
        bool, Meta(description="Leave the engine's credentials in the environment of worker processes.")
    ] = False
    engine: Annotated[EngineSettings, Meta(description="Where the jobs come from.")] = EngineSettings()
    auth: Annotated[AuthSettings, Meta(description="Credentials of the fleet at its engine.")] = AuthSettings()
    defaults: Annotated[HandlerDefaults, Meta(description="What handlers inherit that do not say it themselves.")] = (
        HandlerDefaults()
    )
    pools: Annotated[
        dict[str, PoolSettings],
        Meta(description="Named pools. Unset: all handlers form one pool, `default`."),
    ] = {}


class Recycling(msgspec.Struct, frozen=True, kw_only=True):
    """When a worker is replaced although it works. None: never for that reason."""

    jobs: int | None = None
    age: Duration | None = None
    growth: ByteSize | None = None


class PoolPlan(msgspec.Struct, frozen=True, kw_only=True):
    """A pool with everything resolved."""

    name: str
    handlers: list[str]
    processes: int
    slots: int | None
    preload: bool
    start_timeout_s: float
    time_limit_ms: int | None = None
    hard_time_limit_ms: int | None = None
    stalled_timeout_s: float = 300.0
    stopped_timeout_s: float = 60.0
    defaults: HandlerDefaults = HandlerDefaults()
    recycle: Recycling = Recycling()
