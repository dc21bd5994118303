"""A thousand jobs that run for longer than their leases of 10 s."""

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

JOBS = 1000
LEASES_S = 25


def run(bench: Bench) -> None:
    bench.engine.push("noop", JOBS)
    with Fleet(bench.engine, "holding", 1, "renewal", {"JOBFLEET_GRACE": "1s"}) as fleet:
        fleet.wait_ready()
        fleet.wait(lambda: int(fleet.type("noop")["running"]) >= JOBS, f"{JOBS} jobs run", 60)
        share = fleet.client.tree.core_share(LEASES_S)
        lost = bench.engine.account()["expired"]
    bench.report.mark(Mark("1,000 running jobs, leases of 10 s: leases lost in 25 s", lost, at_most=0))
    bench.report.mark(Mark("the same: CPU", share, "% of a core", at_most=3))
