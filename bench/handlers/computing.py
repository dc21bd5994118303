"""A handler that computes for about a millisecond; also the bare loop of that computation, as a program."""

import sys
import time
from typing import Any

ROUNDS = 30_000


def compute() -> int:
    """Add numbers up, in Python."""
    total = 0
    for number in range(ROUNDS):
        total += number & 7
    return total


def bare_loop(seconds: float) -> int:
    """How often it can be computed in a time."""
    count, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        compute()
        count += 1
    return count


if __name__ == "__main__":
    print(bare_loop(float(sys.argv[1])))
else:
    from jobfleet import Job, handler

    @handler("noop")
    def computing(job: Job[dict[str, Any]]) -> None:
        compute()
