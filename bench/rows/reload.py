"""A reload of 8 workers: at full load, and at half of what the fleet can do.

The same half seconds are shown without a reload too: nothing can be smoother than the machine is by itself.
"""

import statistics
import threading
import time

from bench import windows
from bench.bench import Bench
from bench.fleet import Fleet
from bench.load import Load
from bench.report import Mark

PROCESSES = 8
SETTLE_S = 1.0
QUIET_S = 2.0
RELOAD_S = 2.0
RELOADS = 5


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    usual, quiet, worst = _observe(bench, rate=0.0)
    report = bench.report
    report.mark(Mark("full load, no reload: worst half second, share of usual", quiet / usual))
    report.mark(Mark("reload at full load: worst half second, share of before", worst / usual, at_least=0.6))
    report.mark(Mark("the same: failed jobs", bench.engine.account()["failed"], at_most=0))
    bench.engine.reset()
    rate = usual / 2
    _, quiet, worst = _observe(bench, rate)
    report.mark(Mark("half load, no reload: worst half second, share of the load", quiet / rate))
    report.mark(Mark("reload at half load: worst half second, share of the load", worst / rate, at_least=0.95))
    report.mark(Mark("the same: failed jobs", bench.engine.account()["failed"], at_most=0))


def _observe(bench: Bench, rate: float) -> tuple[float, float, float]:
    """Jobs per second as usual, and in the worst half second without and with a reload: the medians of some reloads."""
    usual, quiet, worst = [], [], []
    with Fleet(bench.engine, "noop", PROCESSES) as fleet:
        fleet.wait_ready()
        with Load(bench.engine, "noop", rate) as load:
            time.sleep(SETTLE_S)
            for _ in range(RELOADS):
                began = time.monotonic()
                time.sleep(QUIET_S)
                asked = time.monotonic()
                reload = threading.Thread(target=fleet.post, args=["/v1/reload"])
                reload.start()
                time.sleep(RELOAD_S)
                reload.join()
                usual.append(windows.usual(load.samples, began + windows.WINDOW_S, asked))
                quiet.append(windows.worst(load.samples, began + windows.WINDOW_S, asked))
                worst.append(windows.worst(load.samples, asked, asked + RELOAD_S))
    return statistics.median(usual), statistics.median(quiet), statistics.median(worst)
