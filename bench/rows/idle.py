"""A fleet with nothing to do: 4 processes, 24 types on long polls."""

import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

SETTLE_S = 3


def run(bench: Bench) -> None:
    with Fleet(bench.engine, "many", 4, env={"BENCH_TYPES": "24"}) as fleet:
        fleet.wait_ready()
        time.sleep(SETTLE_S)
        seconds = max(4 * bench.seconds, 10)
        cpu = fleet.client.tree.cpu_s()
        time.sleep(seconds)
        share = (fleet.client.tree.cpu_s() - cpu) / seconds * 100
    bench.report.mark(Mark("idle fleet, 24 types, 4 processes", share, "% of a core", at_most=0.3, stretch=0.1))
