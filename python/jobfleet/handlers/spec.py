"""What the rest of jobfleet knows about a loaded handler."""

from typing import Literal

import msgspec

Strategy = Literal["main", "threads", "loop"]
"""Where a handler runs: the main thread, a pool of threads, the asyncio loop."""

TenantFilter = Literal["provided", "assigned"]
"""Which tenants' jobs a handler gets: those that are named, or all that the engine's credentials belong to."""


class HandlerSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One handler as plain data; its index in `Loaded.handlers` is the type index on the link."""

    type: str
    """Job type, unique within a pool."""
    name: str
    """`module:function`, for people."""
    file: str
    """Absolute path of the source file."""
    line: int
    """Line of the function in `file`."""
    strategy: Strategy
    lane: int
    """Index into `Loaded.lanes`."""
    slots: int
    """How many jobs of this type may run at once inside one process."""
    lease_ms: int | None
    """None takes the fleet's."""
    fetch: list[str] | None
    """Names of the variables to fetch; None fetches all."""
    renew: bool = True
    """Whether the lease is renewed at half while the handler runs."""
    tenants: list[str] | None = None
    """Tenants to draw from; None takes the fleet's."""
    tenant_filter: TenantFilter | None = None
    """None takes the fleet's."""
    hold_ms: int | None = None
    """How long an empty poll is held; None takes the fleet's."""
    max_jobs: int | None = None
    """The most jobs of this type that the fleet holds at once; None takes the fleet's."""
    max_bytes: int | None = None
    """Bound on the bytes of one activation; None takes the fleet's."""
    time_limit_ms: int | None = None
    """Run time after which the handler is told to stop."""
    hard_time_limit_ms: int | None = None
    """Run time after which its process is killed."""
