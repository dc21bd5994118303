"""Quick jobs beside slow ones while another process is always free: how long a quick one waits at most."""

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 8
# Half of the processes sleep at a time; the others are free.
SLOW = 4
QUICK = 19 * SLOW
ROUNDS = 100


def run(bench: Bench) -> None:
    with Fleet(bench.engine, "mixed", PROCESSES) as fleet:
        fleet.wait_ready()
        for number in range(1, ROUNDS + 1):
            bench.engine.push("slow", SLOW)
            bench.engine.push("noop", QUICK)
            done = number * (SLOW + QUICK)
            bench.engine.wait(lambda account, n=done: account["completed"] >= n, "a round is completed", 30)  # type: ignore[misc]
        seen = fleet.type("noop")["wait_us"]
    report = bench.report
    text = "95 % no-op, 5 % of 50 ms, always a free process: wait of a no-op job"
    report.mark(Mark(f"{text}, longest", seen["max"] / 1000, "ms", at_most=5))
    report.mark(Mark("the same: 99th percentile", seen["p99"] / 1000, "ms"))
