"""The busiest of four workers killed each second, under full load."""

import os
import signal
import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 4


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    seconds = max(2 * bench.seconds, 8)
    with Fleet(bench.engine, "noop", PROCESSES) as fleet:
        fleet.wait_ready()
        time.sleep(1)
        before = _rate(bench, fleet, seconds, kills=False)
        during = _rate(bench, fleet, seconds, kills=True)
        after = _rate(bench, fleet, seconds, kills=False)
    undisturbed = (before + after) / 2
    text = "the busiest of four killed each second: jobs/s, share of undisturbed"
    bench.report.mark(Mark(text, during / undisturbed, at_least=0.9))


def _rate(bench: Bench, fleet: Fleet, seconds: float, *, kills: bool) -> float:
    began, jobs = time.monotonic(), bench.engine.completed()
    while time.monotonic() < began + seconds:
        workers = fleet.workers()
        if kills and workers:
            os.kill(max(workers, key=lambda worker: int(worker["jobs"]))["pid"], signal.SIGKILL)
        time.sleep(1)
    return (bench.engine.completed() - jobs) / (time.monotonic() - began)
