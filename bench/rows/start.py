"""From `jobfleet run` to the first completed job."""

import statistics
import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

STARTS = 5


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    took: list[float] = []
    for _ in range(STARTS):
        before = bench.engine.completed()
        with Fleet(bench.engine, "noop", 2) as fleet:
            fleet.wait(lambda seen=before: bench.engine.completed() > seen, "a job is completed")  # type: ignore[misc]
            took.append(time.monotonic() - fleet.client.started)
    text = "`jobfleet run` to the first completed job, median"
    bench.report.mark(Mark(text, statistics.median(took), "s", at_most=0.6, stretch=0.3))
