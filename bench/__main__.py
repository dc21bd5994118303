"""The command line: which rows to run."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys

from bench import machine
from bench.bench import Bench
from bench.engine import Engine
from bench.paths import ROOT
from bench.report import Report

QUICK = ("throughput", "single", "start", "crash")
FULL = (
    "throughput",
    "peers",
    "processes",
    "distant",
    "mixed",
    "kinds",
    "computing",
    "single",
    "crash",
    "start",
    "memory",
    "idle",
    "sizes",
    "http2",
    "renewal",
    "refusals",
    "kills",
    "handback",
    "drain",
    "waits",
    "reload",
    "camunda",
)


def main() -> int:
    """Run the rows that were asked for, and print and keep what came out."""
    parser = argparse.ArgumentParser(prog="bench", description="jobfleet beside the bare loop and its peers")
    parser.add_argument("extent", choices=("quick", "full"))
    parser.add_argument("--rows", help=f"only these, by comma: {', '.join(FULL)}")
    parser.add_argument("--seconds", type=float, help="how long one measurement counts (quick 3, full 5)")
    parser.add_argument("--rounds", type=int, help="how often compared clients take turns (quick 2, full 3)")
    given = parser.parse_args()
    quick = given.extent == "quick"
    rows = given.rows.split(",") if given.rows else QUICK if quick else FULL
    if unknown := set(rows) - set(FULL):
        parser.error(f"no such row: {', '.join(sorted(unknown))}")

    _build_limit()
    report = Report(machine.facts())
    if report.machine["debug_build"]:
        print("jobfleet._core is a debug build: these figures mean nothing (make build)")
    if report.machine["load_before"] > 0.5:
        print(
            f"other programs are at work (load {report.machine['load_before']}): rates, and shares of them, are unsure"
        )
    with Engine() as engine:
        bench = Bench(engine, report, given.seconds or (3 if quick else 5), given.rounds or (2 if quick else 3))
        for row in rows:
            print(f"== {row}", flush=True)
            engine.reset()
            try:
                importlib.import_module(f"bench.rows.{row}").run(bench)
            except (RuntimeError, TimeoutError) as error:
                report.leave_out(row, str(error))
    report.print()
    report.save()
    return 1 if report.left_out and not report.figures else 0


def _build_limit() -> None:
    words = ["cargo", "build", "--release", "--locked", "--quiet", "--package", "jobfleet-bench-limit"]
    subprocess.run(words, cwd=ROOT, check=True)


if __name__ == "__main__":
    sys.exit(main())
