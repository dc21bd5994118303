"""Larger variables: measured and shown."""

from bench.bench import Bench
from bench.report import Mark


def run(bench: Bench) -> None:
    for size in (10_000, 100_000):
        bench.engine.reset()
        bench.engine.endless("noop", {"text": "x" * size})
        row = f"{size // 1000} KB of variables"
        limit, fleet = bench.alternate(bench.limit, bench.fleet("noop", 2, "jobfleet, 2 processes"))
        for figures in (limit, fleet):
            bench.report.add(row, figures)
        bench.report.mark(Mark(f"{row}: jobs/s, share of the bare loop", fleet.jobs_per_s / limit.jobs_per_s))
