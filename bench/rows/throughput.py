"""Two worker processes against the bare loop: the first two marks."""

from bench.bench import Bench
from bench.report import Mark

ROW = "throughput"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    limit, fleet = bench.alternate(bench.limit, bench.fleet("noop", 2, "jobfleet, 2 processes"))
    for figures in (limit, fleet):
        bench.report.add(ROW, figures)
    share = fleet.jobs_per_s / limit.jobs_per_s
    bench.report.mark(Mark("jobs/s, share of the bare loop", share, at_least=0.6, stretch=0.75))
    cost = fleet.cpu_us / limit.cpu_us
    bench.report.mark(Mark("CPU per job against the bare loop", cost, "x", at_most=2, stretch=1.6))
