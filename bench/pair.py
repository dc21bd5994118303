"""Two builds of jobfleet, compared in turns: what a change does to the CPU per job.

Rates move by a fifth between runs of the same build, so one run of each proves nothing. Pairs that alternate, and the
interval of their median, show a few percent.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from bench.checkout import Checkout
from bench.engine import Engine
from bench.fleet import Fleet
from bench.measure import Figures
from bench.report import Mark

CONFIDENCE = 0.95
MOST = 1.03


def pair(base: Path, head: Path, pairs: int, seconds: float) -> int:
    """Measure both on the no-op row; exit status 1 unless the median shows no more than 3 % more CPU per job."""
    builds = [Checkout.find(base), Checkout.find(head)]
    for name, build in zip(("base", "head"), builds, strict=True):
        print(f"{name}: {build.commit} in {build.folder}")
    costs, rates = [], []
    with Engine() as engine:
        engine.endless("noop")
        for number in range(pairs):
            before, after = _figures(engine, builds, seconds, base_first=number % 2 == 0)
            costs.append(after.cpu_us / before.cpu_us)
            rates.append(after.jobs_per_s / before.jobs_per_s)
            print(
                f"{number + 1:>3}: {before.cpu_us:6.2f} -> {after.cpu_us:6.2f} µs/job, {costs[-1]:.3f} x;"
                f" {before.jobs_per_s:,.0f} -> {after.jobs_per_s:,.0f} jobs/s, {rates[-1]:.3f} x",
                flush=True,
            )
    print(f"CPU per job, head against base: {_told(costs)}")
    print(f"jobs/s, head against base: {_told(rates)}")
    mark = Mark("CPU per job, median of the pairs", statistics.median(costs), "x", at_most=MOST)
    print(f"{mark.text}: {mark.value:.3f} {mark.unit} {mark.wanted} {mark.verdict}")
    return 0 if mark.verdict == "met" else 1


def interval_of_median(values: Sequence[float]) -> tuple[float, float] | None:
    """Where the median of all possible pairs lies with 95 % confidence, whatever their distribution.

    By order statistics: the interval between the k-th smallest and the k-th largest misses the median only when fewer
    than k values fall on one side of it. None when there are too few values to tell.
    """
    ordered, tail, k = sorted(values), 0.0, 0
    for below in range(len(ordered)):
        tail += math.comb(len(ordered), below) / 2 ** len(ordered)
        if 2 * tail > 1 - CONFIDENCE:
            break
        k = below + 1
    return (ordered[k - 1], ordered[-k]) if k else None


def _figures(engine: Engine, builds: Sequence[Checkout], seconds: float, *, base_first: bool) -> list[Figures]:
    """Base and head, measured in one order or the other, so that a drift of the machine favours neither."""
    measured = {}
    for build in builds if base_first else reversed(builds):
        fleet = Fleet(engine, "noop", 2, f"jobfleet of {build.folder.name}", program=build.program)
        measured[build] = fleet.figures(seconds)
    return [measured[build] for build in builds]


def _told(ratios: Sequence[float]) -> str:
    interval = interval_of_median(ratios)
    sure = f"95 % interval {interval[0]:.3f} to {interval[1]:.3f}" if interval else "too few pairs for an interval"
    spread = f"lowest {min(ratios):.3f}, highest {max(ratios):.3f}"
    return f"median {statistics.median(ratios):.3f} x, {sure}, {spread} ({len(ratios)} pairs)"
