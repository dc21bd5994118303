"""Workers killed with jobs running: how soon the engine has accepted that these jobs are given back."""

import os
import signal
import statistics
import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 8
KILLS = 60
# Long enough for a replacement to do the jobs that make it count as healthy: it is then replaced at once in turn.
BETWEEN_S = 0.3
# Hand-backs of one death that come later than this count as this late.
PATIENCE_S = 1.0
LOOK_S = 0.0005


def run(bench: Bench) -> None:
    text = "crash to hand-back accepted by the engine"
    report = bench.report
    took = _measure(bench, "sleeping_async")
    report.mark(Mark(f"{text}, 99th percentile of {len(took)}", _p99(took), "ms", at_most=100))
    report.mark(Mark("the same: median", statistics.median(took), "ms"))
    took = _measure(bench, "noop")
    report.mark(Mark(f"{text}, with no CPU left, 99th percentile of {len(took)}", _p99(took), "ms"))


def _p99(took: list[float]) -> float:
    return sorted(took)[int(len(took) * 0.99)]


def _measure(bench: Bench, handlers: str) -> list[float]:
    """Milliseconds from each kill to each hand-back that followed; each process is killed in its turn."""
    bench.engine.reset()
    bench.engine.endless("noop")
    took: list[float] = []
    with Fleet(bench.engine, handlers, PROCESSES) as fleet:
        fleet.wait_ready()
        # By then every worker has jobs, so that each kill costs some.
        time.sleep(1)
        for number in range(KILLS):
            time.sleep(BETWEEN_S)
            ready = [worker["pid"] for worker in fleet.workers() if worker["state"] == "ready"]
            given_back = _given_back(bench)
            killed_at = time.monotonic()
            os.kill(ready[number % len(ready)], signal.SIGKILL)
            took += _hand_backs(bench, given_back, killed_at)
    return took


def _hand_backs(bench: Bench, before: int, killed_at: float) -> list[float]:
    found: list[float] = []
    quiet_since = killed_at
    while (now := time.monotonic()) < killed_at + PATIENCE_S and now < quiet_since + PATIENCE_S / 4:
        fresh = _given_back(bench) - before - len(found)
        if fresh:
            quiet_since = time.monotonic()
            found += [(quiet_since - killed_at) * 1000] * fresh
        time.sleep(LOOK_S)
    return found


def _given_back(bench: Bench) -> int:
    return int(bench.engine.account()["handed_back"])
