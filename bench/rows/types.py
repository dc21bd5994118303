"""Many job types: what 200 cost against 24, with work for all of them and with none."""

import time
from dataclasses import dataclass

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

ROW = "types"
FEW, MANY = 24, 200
PROCESSES = 2
SETTLE_S = 3


@dataclass
class Idle:
    """An idle fleet."""

    core_percent: float
    connections: int


def run(bench: Bench) -> None:
    for number in range(MANY):
        bench.engine.endless(f"noop-{number}")
    few, many = bench.alternate(
        *(bench.fleet("many", PROCESSES, f"jobfleet, {count} types", _env(count)) for count in (FEW, MANY))
    )
    for figures in (few, many):
        bench.report.add(ROW, figures)
    report = bench.report
    text = f"{MANY} types against {FEW}"
    report.mark(Mark(f"{text}: CPU per job", many.cpu_us / few.cpu_us, "x", at_most=1.25))
    report.mark(Mark("the same: jobs/s", many.jobs_per_s / few.jobs_per_s, "x"))
    bench.engine.reset()
    few_idle, many_idle = (_idle(bench, count) for count in (FEW, MANY))
    share = "% of a core"
    report.mark(Mark(f"{FEW} types, idle: CPU", few_idle.core_percent, share))
    report.mark(Mark(f"{MANY} types, idle: CPU", many_idle.core_percent, share))
    cost = (many_idle.core_percent / MANY) / (few_idle.core_percent / FEW)
    report.mark(Mark(f"{text}, idle: CPU per type", cost, "x", at_most=1.25))
    connections = (many_idle.connections / MANY) / (few_idle.connections / FEW)
    report.mark(Mark(f"{text}, idle: connections for polls per type", connections, "x", at_most=1))


def _idle(bench: Bench, types: int) -> Idle:
    with Fleet(bench.engine, "many", PROCESSES, env=_env(types)) as fleet:
        fleet.wait_ready()
        fleet.wait(lambda: int(fleet.status()["totals"]["held_polls"]) >= types, f"{types} polls are held")
        time.sleep(SETTLE_S)
        share = fleet.client.tree.core_share(max(4 * bench.seconds, 20))
        return Idle(share, int(fleet.status()["fleet"]["engine"]["poll_connections"]))


def _env(types: int) -> dict[str, str]:
    return {"BENCH_TYPES": str(types)}
