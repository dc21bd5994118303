"""Async and threaded handlers against one in the main thread."""

from bench.bench import Bench
from bench.report import Mark

MOST = {"noop_async": 1.5, "noop_threads": 2.5}


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    files = ("noop", *MOST)
    measured = bench.alternate(*(bench.fleet(file, 2) for file in files))
    for figures in measured:
        bench.report.add("kinds", figures)
    for (file, most), figures in zip(MOST.items(), measured[1:], strict=True):
        cost = figures.cpu_us / measured[0].cpu_us
        bench.report.mark(Mark(f"{file}: CPU per job against the sync handler", cost, "x", at_most=most))
