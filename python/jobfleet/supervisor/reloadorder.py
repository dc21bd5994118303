"""What was asked of a reload, and what became of it."""

from __future__ import annotations

import asyncio
import time
from typing import Literal

import msgspec

Cause = Literal["settings", "handlers", "workers", "system", "drain"]


class ReloadOutcome(msgspec.Struct, kw_only=True):
    """What became of a reload."""

    why: str
    """Who or what asked for it."""
    state: Literal["queued", "running", "done", "failed"] = "queued"
    since: float = msgspec.field(default_factory=time.time)
    took_s: float | None = None
    pools: dict[str, int] = {}
    """The generation that each pool was switched to."""
    cause: Cause | None = None
    error: str | None = None
    """Why the fleet stays as it was; with `path` and `line` where the fault has a place."""
    path: str | None = None
    line: int | None = None
    detail: str = ""
    applied: list[str] = []
    """Changed settings that took effect."""
    needs_restart: list[str] = []
    """Changed settings that take effect when the fleet is restarted."""
    warnings: list[str] = []


class ReloadRefused(Exception):
    """The fleet cannot reload now; the text says why."""


class Order:
    """What was asked for: all pools with their settings read anew, or some pools as they are set."""

    def __init__(self, why: str, pools: set[str] | None, loop: asyncio.AbstractEventLoop) -> None:
        self.pools = pools
        self.outcome = ReloadOutcome(why=why)
        self.ended: asyncio.Future[ReloadOutcome] = loop.create_future()

    def join(self, why: str, pools: set[str] | None) -> None:
        """Do this as well."""
        self.pools = None if pools is None or self.pools is None else self.pools | pools
        self.outcome.why = why
