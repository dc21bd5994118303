"""A handler that computes for a millisecond against bare loops of the same computation."""

import subprocess
import sys

from bench.bench import Bench
from bench.measure import Figures
from bench.paths import HANDLERS
from bench.report import Mark

ROW = "1 ms of computing"


def run(bench: Bench) -> None:
    bench.engine.endless("noop")
    loops, fleet = bench.alternate(lambda: _bare_loops(bench.seconds), bench.fleet("computing", 2))
    for figures in (loops, fleet):
        bench.report.add(ROW, figures)
    share = fleet.jobs_per_s / loops.jobs_per_s
    bench.report.mark(Mark("1 ms of computing: jobs/s, share of two bare loops", share, at_least=0.85, stretch=0.92))


def _bare_loops(seconds: float) -> Figures:
    words = [sys.executable, str(HANDLERS / "computing.py"), str(seconds)]
    loops = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    count = sum(int(loop.communicate()[0]) for loop in loops)
    return Figures("two bare loops", count / seconds, 2 * seconds / count * 1e6, 0.0)
