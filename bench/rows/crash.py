"""A worker killed: how soon its replacement is ready, and its job given back."""

import os
import signal
import statistics
import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 8
BETWEEN_S = 0.5


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    text = "crash to replacement ready, median"
    working = _median_ms(Fleet(bench.engine, "sleeping", PROCESSES))
    bench.report.mark(Mark(text, working, "ms", at_most=20, stretch=5))
    saturated = _median_ms(Fleet(bench.engine, "noop", PROCESSES))
    bench.report.mark(Mark(f"{text}, with no CPU left", saturated, "ms"))


def _median_ms(fleet: Fleet) -> float:
    """Kill every process that the fleet began with, the busiest first: a second death would be a streak."""
    took: list[float] = []
    with fleet:
        fleet.wait_ready()
        first = {worker["pid"] for worker in fleet.workers()}
        while first:
            time.sleep(BETWEEN_S)
            workers = fleet.workers()
            candidates = [worker for worker in workers if worker["pid"] in first]
            busiest = max(candidates, key=lambda worker: (int(worker["busy"]), int(worker["jobs"])))
            first.remove(busiest["pid"])
            killed_at = time.time()
            os.kill(busiest["pid"], signal.SIGKILL)
            took.append(_ready_at(fleet, {worker["pid"] for worker in workers}) - killed_at)
    return statistics.median(took) * 1000


def _ready_at(fleet: Fleet, known: set[int]) -> float:
    """When the first process that was not known became ready, by the fleet's own record."""
    found: list[float] = []

    def replaced() -> bool:
        fresh = [worker for worker in fleet.workers() if worker["pid"] not in known]
        found.extend(worker["since"] for worker in fresh if worker["state"] == "ready")
        return bool(found)

    fleet.wait(replaced, "a replacement is ready", 30)
    return found[0]
