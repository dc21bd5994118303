"""What the system knows about processes. Asked only when somebody wants to see it."""

from __future__ import annotations

from typing import NamedTuple

import psutil


class ProcessFacts(NamedTuple):
    """Proportional memory and processor time of one process; zeros when it is gone or may not be looked at."""

    memory_bytes: int = 0
    cpu_s: float = 0.0


def facts_of(pid: int) -> ProcessFacts:
    """Look at one process."""
    try:
        process = psutil.Process(pid)
        times = process.cpu_times()
        return ProcessFacts(_memory(process), round(times.user + times.system, 3))
    except psutil.Error:
        return ProcessFacts()


def _memory(process: psutil.Process) -> int:
    try:
        return int(process.memory_full_info().pss)
    except psutil.AccessDenied:
        return int(process.memory_info().rss)
