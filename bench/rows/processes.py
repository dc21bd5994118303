"""More worker processes than cores: what 8 and 32 cost against 2, for three lengths of job."""

from bench.bench import Bench
from bench.report import Mark

COUNTS = (2, 8, 32)


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    for handlers in ("noop", "computing", "sleeping"):
        measured = bench.alternate(*(bench.fleet(handlers, count) for count in COUNTS))
        few = measured[0]
        for count, figures in zip(COUNTS, measured, strict=True):
            bench.report.add("processes", figures)
            if count > 2:
                cost = figures.cpu_us / few.cpu_us
                text = f"{handlers}: CPU per job with {count} processes against 2"
                bench.report.mark(Mark(text, cost, "x", at_most=1.5, stretch=1.2))
