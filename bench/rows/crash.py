"""A worker killed: how soon its replacement is ready, and its job given back."""

import os
import signal
import statistics
import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

DEATHS = 12
BETWEEN_S = 1.0
"""Between deaths, so that the restart policy sees accidents and no crash loop."""


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    took: list[float] = []
    with Fleet(bench.engine, "noop", 4) as fleet:
        fleet.wait_ready()
        for _ in range(DEATHS):
            time.sleep(BETWEEN_S)
            workers = fleet.workers()
            known = {worker["pid"] for worker in workers}
            busiest = max(workers, key=lambda worker: int(worker["jobs"]))
            killed_at = time.time()
            os.kill(busiest["pid"], signal.SIGKILL)
            took.append(_ready_at(fleet, known) - killed_at)
    text = "crash to replacement ready, median"
    bench.report.mark(Mark(text, statistics.median(took) * 1000, "ms", at_most=20, stretch=5))


def _ready_at(fleet: Fleet, known: set[int]) -> float:
    """When the first process that was not known became ready, by the fleet's own record."""
    found: list[float] = []

    def replaced() -> bool:
        fresh = [worker for worker in fleet.workers() if worker["pid"] not in known]
        found.extend(worker["since"] for worker in fresh if worker["state"] == "ready")
        return bool(found)

    fleet.wait(replaced, "a replacement is ready", 30)
    return found[0]
