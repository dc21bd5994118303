"""95 % no-op jobs and 5 % that sleep for 50 ms, on 8 processes."""

import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 8
QUICK, SLOW = 19_000, 1_000
SLEEP_S = 0.05


def run(bench: Bench) -> None:
    # In portions, so that both types are there all the time.
    for _ in range(20):
        bench.engine.push("noop", QUICK // 20)
        bench.engine.push("slow", SLOW // 20)
    with Fleet(bench.engine, "mixed", PROCESSES) as fleet:
        fleet.wait(lambda: bench.engine.completed() > 0, "the first job is completed")
        began, before = time.monotonic(), bench.engine.completed()
        bench.engine.wait(lambda account: account["completed"] >= QUICK + SLOW, "all jobs are completed", 120, 0.05)
        took = time.monotonic() - began
        quick = fleet.type("noop")["wait_us"]
    rate = (QUICK + SLOW - before) / took
    # The sleeping alone takes this long when no process ever waits.
    capacity = PROCESSES / (SLEEP_S * SLOW / (QUICK + SLOW))
    report = bench.report
    report.mark(Mark("95 % no-op, 5 % of 50 ms: jobs/s, share of what the sleeping leaves", rate / capacity))
    report.mark(Mark("the same: wait of a no-op job, median", quick["p50"] / 1000, "ms"))
    report.mark(Mark("the same: wait of a no-op job, 99th percentile", quick["p99"] / 1000, "ms"))
