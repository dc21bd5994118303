"""Runs the soak: half of it in the 8.6 dialect, half in 8.10 with leases, each through several lives of a fleet."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from bench.soak.chaos import Chaos
from bench.soak.engine import SoakEngine
from bench.soak.fleet import SoakFleet
from bench.soak.plan import draw
from bench.soak.verdict import judge_account, judge_footprints, judge_life

Json = dict[str, Any]

DIALECTS: Final = ("8.6", "8.10")
# A fleet is drained and started anew after so long, and once in each half at least.
_LIFE_S: Final = 180.0
# Answers that never come are given up after 15 s, and leases last 10 s.
_SETTLE_S: Final = 90.0


class Half(NamedTuple):
    """One dialect's part of the soak."""

    dialect: str
    account: Json
    acts: Counter[str]
    convicted: int
    wrong: list[str]


def soak(length_s: float, seed: int, say: Callable[[str], None], logs: Path | None = None) -> list[Half]:
    """Both halves, for so many seconds of chaos in all. The fleets' logs stay in the folder `logs`."""
    return [_half(dialect, length_s / len(DIALECTS), seed, say, logs) for dialect in DIALECTS]


def _half(dialect: str, length_s: float, seed: int, say: Callable[[str], None], logs: Path | None) -> Half:
    wrong: list[str] = []
    acts: Counter[str] = Counter()
    convicted = 0
    lives = max(2, round(length_s / _LIFE_S))
    with SoakEngine(dialect, seed) as engine:
        engine.fill()
        for life in range(lives):
            is_last = life == lives - 1
            say(f"dialect {dialect}, life {life + 1} of {lives}: {length_s / lives:.0f} s of chaos")
            began = time.monotonic()
            log = logs / f"{dialect}-{life + 1}.log" if logs else None
            with SoakFleet(engine.url, log) as fleet:
                chaos = Chaos(fleet, engine)
                chaos.run(draw(seed * 100 + life, length_s / lives), length_s / lives)
                if is_last:
                    engine.settle(_SETTLE_S)
                status = _status_after_audit(fleet)
                convicted += status["poison"]["convicted"]
                code = fleet.stop()
                wrong += judge_life(status, code, fleet.orphans(), fleet.defects())
                wrong += judge_footprints(chaos.footprints)
                acts += chaos.done
            say(f"  over after {time.monotonic() - began:.0f} s")
        account = engine.account()
        wrong += [f"expired: {defect}" for defect in engine.defects()[:10]]
    return Half(dialect, account, acts, convicted, wrong + judge_account(account))


def _status_after_audit(fleet: SoakFleet) -> Json:
    """The status, after one more audit of the books."""
    status = fleet.status()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        later = fleet.status()
        if later["slot_audit"]["checks"] > status["slot_audit"]["checks"]:
            return later
        time.sleep(0.1)
    return status
