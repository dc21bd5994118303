"""An engine that takes 5 ms for each answer and refuses over 40 requests at once."""

import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

AT_ONCE = 40
FIXED_CAPS = (16, 32, 38)
SETTLE_S = 10


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    bench.engine.misbehave({"fault": "limit", "concurrent": AT_ONCE}, {"fault": "latency", "latency_ms": 5})
    caps = [bench.limit("--lanes", lanes, name=f"bare loop, {lanes} lanes") for lanes in FIXED_CAPS]
    for figures in caps:
        bench.report.add("refusals over 40", figures)
    bench.engine.begin()
    with Fleet(bench.engine, "noop", 2) as fleet:
        fleet.wait_ready()
        time.sleep(SETTLE_S)
        began, refused, done = time.monotonic(), _refused(fleet), bench.engine.completed()
        time.sleep(max(bench.seconds, 5))
        done_after, refused_after = bench.engine.completed(), _refused(fleet)
        rate = (done_after - done) / (time.monotonic() - began)
    refusals = (refused_after - refused) / max(done_after - done, 1) * 100
    best = max(figures.jobs_per_s for figures in caps)
    report = bench.report
    report.mark(Mark("refuses over 40 at once: refused after 10 s", refusals, "% of the jobs", at_most=5))
    report.mark(Mark("the same: jobs/s, share of the best fixed cap", rate / best, at_least=0.8))


def _refused(fleet: Fleet) -> int:
    permits = fleet.status()["permits"]
    return int(permits["refusals"]) + int(permits["outcome_refusals"])
