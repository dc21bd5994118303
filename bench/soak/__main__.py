"""`python -m bench.soak [--minutes M | --seconds S] [--seed N]`: the soak, its account, and what is wrong with it."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from bench.soak.soak import Half, soak

_SHOWN = (
    "created",
    "completed",
    "failed",
    "handed_back",
    "errors_thrown",
    "incidents",
    "undelivered",
    "excused",
    "lost",
    "expired",
    "settled_twice",
    "foreign",
    "unexplained",
)


def main() -> int:
    """Exit status 1 when anything is wrong."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=2.0)
    parser.add_argument("--seconds", type=float)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 100_000)
    parser.add_argument("--logs", type=Path, help="keep the fleets' logs in this folder")
    options = parser.parse_args()
    if options.logs:
        options.logs.mkdir(parents=True, exist_ok=True)
    length_s = options.seconds or options.minutes * 60
    print(f"soak of {length_s:g} s, seed {options.seed}", flush=True)
    halves = soak(length_s, options.seed, lambda text: print(text, flush=True), options.logs)
    for half in halves:
        _show(half)
    wrong = [f"dialect {half.dialect}: {sentence}" for half in halves for sentence in half.wrong]
    print("\n".join(wrong) if wrong else "nothing is wrong")
    return 1 if wrong else 0


def _show(half: Half) -> None:
    print(f"\ndialect {half.dialect}")
    acts = ", ".join(f"{count} x {kind}" for kind, count in sorted(half.acts.items()) if kind != "end")
    print(f"  chaos: {acts}; jobs convicted as poison: {half.convicted}")
    for word in _SHOWN:
        print(f"  {word:14} {half.account[word]:>10,}")


if __name__ == "__main__":
    sys.exit(main())
