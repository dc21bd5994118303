"""Every pool generation of a fleet: the ones in service, one for each pool, and those that come or go."""

from __future__ import annotations

from collections.abc import Iterator

from jobfleet.supervisor.lifecycle import PoolState
from jobfleet.supervisor.pool import Pool


class Pools:
    """Iterates over every generation, those in service first."""

    def __init__(self) -> None:
        self.current: dict[str, Pool] = {}
        self.others: list[Pool] = []

    def __iter__(self) -> Iterator[Pool]:
        yield from self.current.values()
        yield from self.others

    @property
    def is_gone(self) -> bool:
        """Whether no process is left."""
        return all(pool.is_gone for pool in self)

    def replace(self, current: dict[str, Pool]) -> list[Pool]:
        """Put these into service; the generations that were in service and are not any more."""
        replaced = [pool for pool in self.current.values() if current.get(pool.plan.name) is not pool]
        self.others = [pool for pool in self.others if current.get(pool.plan.name) is not pool] + replaced
        self.current = current
        return replaced

    def forget_gone(self) -> None:
        """Drop the generations that have left."""
        self.others = [pool for pool in self.others if pool.state is not PoolState.DRAINED]
