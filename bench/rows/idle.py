"""A fleet with nothing to do: 4 processes, 24 types on long polls."""

import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark
from bench.tree import pss_mb

SETTLE_S = 3


def run(bench: Bench) -> None:
    with Fleet(bench.engine, "many", 4, env={"BENCH_TYPES": "24"}) as fleet:
        fleet.wait_ready()
        time.sleep(SETTLE_S)
        share = fleet.client.tree.core_share(max(4 * bench.seconds, 10))
        held = int(fleet.status()["fleet"]["engine"]["poll_connections"])
    bench.report.mark(Mark("idle fleet, 24 types, 4 processes", share, "% of a core", at_most=0.3, stretch=0.1))
    bench.report.mark(Mark("the same: connections for polls", held, at_most=24))
    _many_processes(bench)


def _many_processes(bench: Bench) -> None:
    with Fleet(bench.engine, "noop", 64) as fleet:
        fleet.wait_ready()
        time.sleep(SETTLE_S)
        share = fleet.client.tree.core_share(max(4 * bench.seconds, 10))
        memory = pss_mb(fleet.client.pid)
    bench.report.mark(Mark("idle fleet, 64 processes", share, "% of a core", at_most=0.5))
    bench.report.mark(Mark("the same: supervisor, PSS", memory, "MB", at_most=70))
