"""One job at a time: the way of a job through an idle fleet."""

from bench.bench import Bench
from bench.echo import round_trip_us
from bench.fleet import Fleet
from bench.report import Mark

JOBS = 300


def run(bench: Bench) -> None:
    with Fleet(bench.engine, "noop", 2) as fleet:
        fleet.wait_ready()
        for number in range(1, JOBS + 1):
            bench.engine.push("noop", 1)
            bench.engine.wait(lambda account, n=number: account["completed"] >= n, "the job is completed", 10, 0.001)  # type: ignore[misc]
        seen = fleet.type("noop")
    available = bench.engine.latency()["available_us"]["p50"] / 1000
    inside = seen["wait_us"]["p50"] + seen["run_us"]["p50"]
    report = bench.report
    report.mark(Mark("one job: received to handler's end, median", inside, "µs", at_most=100, stretch=50))
    # Whoever passes a job to a sleeping process, and sleeps until it is done, waits for the host this long at least.
    echo = "one job: of that, a byte to a sleeping process and back on this host, median"
    report.mark(Mark(echo, round_trip_us(JOBS), "µs"))
    report.mark(Mark("one job: received to outcome answered, median", seen["latency_us"]["p50"], "µs"))
    text = "one job: available to completed at the engine, median"
    report.mark(Mark(text, available, "ms", at_most=1, stretch=0.5))
