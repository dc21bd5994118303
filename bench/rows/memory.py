"""Memory of the supervisor, and of each further worker after it has worked."""

import statistics

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark
from bench.tree import own_mb, pss_mb

JOBS = 200_000


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    with Fleet(bench.engine, "noop", 4) as fleet:
        bench.engine.wait(lambda account: account["completed"] >= JOBS, f"{JOBS} jobs are completed", 120, 0.1)
        supervisor = pss_mb(fleet.client.pid)
        workers = [own_mb(worker["pid"]) for worker in fleet.workers()]
    report = bench.report
    report.mark(Mark("supervisor, PSS", supervisor, "MB", at_most=60, stretch=40))
    own = statistics.median(workers)
    report.mark(Mark("own memory of a worker process, median", own, "MB", at_most=5, stretch=2))
