"""Larger variables, and many types: measured and shown."""

from bench.bench import Bench
from bench.fleet import Fleet
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
    _many_types(bench, 200)


def _many_types(bench: Bench, count: int) -> None:
    bench.engine.reset()
    for number in range(count):
        bench.engine.endless(f"noop-{number}")
    fleet = Fleet(bench.engine, "many", 2, f"jobfleet, {count} types", {"BENCH_TYPES": str(count)})
    bench.report.add(f"{count} types", fleet.figures(bench.seconds))
