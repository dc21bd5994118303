"""What a process and everything below it costs."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

_GONE = (psutil.NoSuchProcess, psutil.ZombieProcess)


class Tree:
    """A process and its descendants, as they are at each call."""

    def __init__(self, pid: int) -> None:
        self._root = psutil.Process(pid)

    def cpu_s(self) -> float:
        """CPU time, user and system, of all of them; those that ended count once they were waited for."""
        total = 0.0
        for process in self._members():
            with contextlib.suppress(*_GONE):
                times = process.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def core_share(self, seconds: float) -> float:
        """Percent of a core that all of them use from now on, for so long.

        In nanoseconds of the scheduler (/proc/PID/schedstat): the ticks of `cpu_s` lose up to 10 ms of each process.
        """
        before = self._run_ns()
        time.sleep(seconds)
        return (self._run_ns() - before) / (seconds * 1e9) * 100

    def _run_ns(self) -> int:
        return sum(
            int(told.read_text().split()[0])
            for process in self._members()
            for told in Path(f"/proc/{process.pid}/task").glob("*/schedstat")
        )

    def pss_mb(self) -> float:
        """Memory of all of them, each shared page counted once."""
        total = 0
        for process in self._members():
            with contextlib.suppress(*_GONE):
                total += process.memory_full_info().pss
        return total / 1e6

    def alive(self) -> list[psutil.Process]:
        """All of them."""
        return list(self._members())

    def _members(self) -> Iterator[psutil.Process]:
        yield self._root
        with contextlib.suppress(*_GONE):
            yield from self._root.children(recursive=True)


def pss_mb(pid: int) -> float:
    """One process's memory, pages that it shares counted in part."""
    return float(psutil.Process(pid).memory_full_info().pss) / 1e6


def own_mb(pid: int) -> float:
    """The memory that only this process has."""
    return float(psutil.Process(pid).memory_full_info().uss) / 1e6
