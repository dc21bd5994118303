"""The command line: which rows to run, or which builds to compare."""

from __future__ import annotations

import argparse
import importlib
import subprocess
import sys
from pathlib import Path

from bench import machine
from bench.bench import Bench
from bench.engine import Engine
from bench.pair import pair
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
    "types",
    "http2",
    "tls",
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
    """Do what was asked for."""
    given = _parser().parse_args()
    if given.extent != "pair":
        return _run_rows(given)
    try:
        return pair(given.base, given.head, given.pairs, given.seconds)
    except (ValueError, RuntimeError, TimeoutError) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="bench", description="jobfleet beside the bare loop and its peers")
    extents = parser.add_subparsers(dest="extent", required=True)
    for extent, text, seconds, rounds in (("quick", "the rows of a minute", 3, 2), ("full", "every row", 5, 3)):
        rows = extents.add_parser(extent, help=text)
        rows.add_argument("--rows", type=_rows, help=f"only these, by comma: {', '.join(FULL)}")
        rows.add_argument("--seconds", type=float, default=seconds, help="how long one measurement counts")
        rows.add_argument("--rounds", type=int, default=rounds, help="how often compared clients take turns")
    two = extents.add_parser("pair", help="two built checkouts in turns: CPU per job of one against the other")
    two.add_argument("base", type=Path, help="the folder of the one to compare with")
    two.add_argument("head", type=Path, help="the folder of the one with the change")
    two.add_argument("--pairs", type=_positive, default=10, help="how often each is measured")
    two.add_argument("--seconds", type=float, default=5, help="how long one measurement counts")
    return parser


def _rows(text: str) -> list[str]:
    rows = text.split(",")
    if unknown := set(rows) - set(FULL):
        raise argparse.ArgumentTypeError(f"no such row: {', '.join(sorted(unknown))}")
    return rows


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError(f"{number} is not at least 1")
    return number


def _run_rows(given: argparse.Namespace) -> int:
    """Run the rows that were asked for, and print and keep what came out."""
    rows = given.rows or (QUICK if given.extent == "quick" else FULL)
    _build_limit()
    report = Report(machine.facts())
    if report.machine["debug_build"]:
        print("jobfleet._core is a debug build: these figures mean nothing (make build)")
    if report.machine["load_before"] > 0.5:
        print(
            f"other programs are at work (load {report.machine['load_before']}): rates, and shares of them, are unsure"
        )
    with Engine() as engine:
        bench = Bench(engine, report, given.seconds, given.rounds)
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
