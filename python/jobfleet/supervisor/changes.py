"""What a reload can change about a running fleet, and what needs a restart."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from jobfleet.config.model import PoolPlan, Settings

_RECYCLING: Final = ("recycle_jobs", "recycle_age", "recycle_growth")
# The settings that pools are made of, and the grace period, which is only read when something drains.
_APPLIED: Final = (
    "handlers",
    "processes",
    "slots",
    "preload",
    "start_timeout",
    "time_limit",
    "hard_time_limit",
    "stalled_timeout",
    "stopped_timeout",
    "pools",
    "defaults",
    "grace",
    *_RECYCLING,
)


class Changes(NamedTuple):
    """The settings to go on with, and what differs from those before."""

    settings: Settings
    applied: list[str]
    needs_restart: list[str]


def compare(before: Settings, after: Settings) -> Changes:
    """Take from `after` what a reload applies."""
    differs = [name for name in Settings.__struct_fields__ if getattr(before, name) != getattr(after, name)]
    applied = [name for name in differs if name in _APPLIED]
    settings = msgspec.structs.replace(before, **{name: getattr(after, name) for name in applied})
    needs_restart: list[str] = []
    for name in differs:
        if name not in _APPLIED:
            needs_restart += _inner(name, getattr(before, name), getattr(after, name))
    shown = [inner for name in applied for inner in _inner(name, getattr(before, name), getattr(after, name))]
    return Changes(settings, shown, needs_restart)


def _inner(name: str, before: object, after: object) -> list[str]:
    """The settings of a table that differ, or the setting itself."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [key for key in {**before, **after} if before.get(key) != after.get(key)]
        return [f"{name}.{key}" for key in names]
    if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
        fields = before.__struct_fields__
        return [f"{name}.{field}" for field in fields if getattr(before, field) != getattr(after, field)]
    return [name]


class Sizes:
    """The numbers of processes that were commanded: they outlive reloads, until the setting itself changes."""

    def __init__(self) -> None:
        self._commanded: dict[str, tuple[int, int]] = {}

    def command(self, pool: str, configured: int, processes: int) -> None:
        """Note that `pool`, which the settings give `configured` processes, was told to have others."""
        self._commanded[pool] = (self._commanded.get(pool, (configured, 0))[0], processes)

    def resolve(self, plan: PoolPlan) -> PoolPlan:
        """The plan with the commanded size, where that still counts."""
        configured, processes = self._commanded.get(plan.name, (plan.processes, plan.processes))
        if configured != plan.processes:
            del self._commanded[plan.name]
            return plan
        return msgspec.structs.replace(plan, processes=processes)
