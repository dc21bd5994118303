"""SIGTERM to an idle fleet, on a server that does not notice departed clients: it waits for its held polls."""

import time

from bench.bench import Bench
from bench.fleet import Fleet
from bench.report import Mark

HOLD_S = 2.0
SLACK_S = 0.5
ROUNDS = 3


def run(bench: Bench) -> None:
    bench.engine.settings(dialect="8.6")
    try:
        took = [_exit_s(bench) for _ in range(ROUNDS)]
    finally:
        bench.engine.settings(dialect="8.10")
    text = f"idle SIGTERM to exit, departed clients not noticed, polls held for {HOLD_S:g} s; longest"
    bench.report.mark(Mark(text, max(took), "s", at_most=HOLD_S + SLACK_S))


def _exit_s(bench: Bench) -> float:
    """The longest case: the signal comes when a hold has only just begun."""
    with Fleet(bench.engine, "noop", 2, env={"JOBFLEET_ENGINE_HOLD": f"{HOLD_S:g}s"}) as fleet:
        fleet.wait(lambda: bench.engine.held_polls() > 0, "a poll is held")
        told = time.monotonic()
        fleet.client.end(HOLD_S + 10)
        return time.monotonic() - told
