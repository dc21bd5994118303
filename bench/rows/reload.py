"""A reload of 8 workers: at full load, and at half of what the fleet can do."""

import threading
import time
from collections.abc import Callable

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

PROCESSES = 8
WINDOW_S = 0.5
STEP_S = 0.05
BEFORE_S, AFTER_S = 3.0, 4.0


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    with Fleet(bench.engine, "noop", PROCESSES) as fleet:
        fleet.wait_ready()
        time.sleep(1)
        usual, worst = _observe(bench, fleet, lambda: None)
    bench.report.mark(Mark("reload at full load: worst half second, share of before", worst / usual, at_least=0.6))
    bench.engine.reset()
    step = int(usual / 2 * STEP_S)
    with Fleet(bench.engine, "noop", PROCESSES) as fleet:
        fleet.wait_ready()
        _, worst = _observe(bench, fleet, lambda: bench.engine.push("noop", step))
        failed = bench.engine.account()["failed"]
    text = "reload at half load: worst half second, share of the load"
    bench.report.mark(Mark(text, worst / (step / STEP_S), at_least=0.95))
    bench.report.mark(Mark("the same: failed jobs", failed, at_most=0))


def _observe(bench: Bench, fleet: Fleet, feed: Callable[[], None]) -> tuple[float, float]:
    """The usual rate before the reload, and that of the worst half second from its start on."""
    samples: list[tuple[float, int]] = []
    reload = threading.Thread(target=fleet.post, args=["/v1/reload"])
    began = due = time.monotonic()
    while (now := time.monotonic()) < began + BEFORE_S + AFTER_S:
        feed()
        samples.append((time.monotonic(), bench.engine.completed()))
        if reload.ident is None and now > began + BEFORE_S:
            reload.start()
        due += STEP_S
        time.sleep(max(0.0, due - time.monotonic()))
    reload.join()
    # The fleet's own beginning is over after a second.
    usual = [rate for at, rate in _rates(samples) if began + 1 < at <= began + BEFORE_S]
    during = [rate for at, rate in _rates(samples) if at > began + BEFORE_S]
    return sorted(usual)[len(usual) // 2], min(during)


def _rates(samples: list[tuple[float, int]]) -> list[tuple[float, float]]:
    """Jobs per second of the half second before each sample."""
    found = []
    for at, jobs in samples:
        before = [(then, count) for then, count in samples if then <= at - WINDOW_S]
        if before:
            then, count = before[-1]
            found.append((at, (jobs - count) / (at - then)))
    return found
