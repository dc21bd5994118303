"""An engine that is 25 ms away."""

from bench.bench import Bench
from bench.report import Mark

ROW = "25 ms away"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    bench.engine.delay(25)
    limit, fleet = bench.alternate(
        lambda: bench.limit("--lanes", 512, "--polls", 2, name="bare loop, 512 lanes"),
        bench.fleet("noop", 2, "jobfleet, 2 processes"),
    )
    for figures in (limit, fleet):
        bench.report.add(ROW, figures)
    share = fleet.jobs_per_s / limit.jobs_per_s
    bench.report.mark(Mark("25 ms on every answer: jobs/s, share of the bare loop", share, at_least=0.8, stretch=0.9))
