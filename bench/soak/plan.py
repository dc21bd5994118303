"""What the chaos does, and when: drawn from a seed before anything starts, so that a run can be repeated."""

from __future__ import annotations

import random
from typing import Any, Final, NamedTuple

Json = dict[str, Any]

KILL_EVERY_S: Final = 1.0
STOP_EVERY_S: Final = 6.0
RELOAD_EVERY_S: Final = 10.0
ZYGOTE_EVERY_S: Final = 60.0
FAULTS_EVERY_S: Final = 2.0

_REFUSALS: Final = (
    "backpressure",
    "429",
    "503",
    "503_bare",
    "503_partition",
    "500",
    "401",
    "403",
    "404_html",
    "502_html",
    "504",
)
_CUTS: Final = ("reset_before", "reset_after", "truncate", "cut_json", "hang_before", "hang_after")
# An answer that never comes costs its lane up to a quarter of a minute.
_HANGS: Final = ("hang_before", "hang_after")
_COMMANDS: Final = ("complete", "fail", "error", "update", "activate")


class Act(NamedTuple):
    """One thing that the chaos does."""

    at_s: float
    kind: str
    faults: tuple[Json, ...] = ()
    share: float = 0.0
    """Which of the processes there are: from 0, the first, to 1."""
    for_s: float = 0.0


def draw(seed: int, length_s: float) -> list[Act]:
    """The acts of one stretch of this length, in their order."""
    dice = random.Random(seed)
    acts = [Act(at_s, "kill", share=dice.random()) for at_s in _times(dice, KILL_EVERY_S, length_s)]
    for at_s in _times(dice, STOP_EVERY_S, length_s):
        acts.append(Act(at_s, "stop", share=dice.random(), for_s=dice.uniform(0.5, 4.0)))
    # Once at least, however short the stretch is.
    reloads = _times(dice, RELOAD_EVERY_S, length_s) or [length_s * 0.7]
    acts += [Act(at_s, "reload") for at_s in reloads]
    zygotes = _times(dice, ZYGOTE_EVERY_S, length_s) or [length_s / 2]
    acts += [Act(at_s, "zygote", share=dice.random()) for at_s in zygotes]
    acts += [Act(at_s, "faults", tuple(faults)) for at_s, faults in _faults(dice, length_s)]
    return sorted(acts, key=lambda act: act.at_s)


def _times(dice: random.Random, every_s: float, length_s: float) -> list[float]:
    times, at_s = [], every_s * dice.uniform(0.5, 1.0)
    while at_s < length_s:
        times.append(at_s)
        at_s += every_s * dice.uniform(0.8, 1.2)
    return times


def _faults(dice: random.Random, length_s: float) -> list[tuple[float, list[Json]]]:
    """One kind after the other, all of them within a stretch, two at a time, beside some latency."""
    kinds = [*_REFUSALS, *_CUTS, "limit"]
    dice.shuffle(kinds)
    # However short the stretch is, each kind has its turn.
    times = _times(dice, min(FAULTS_EVERY_S, 1.5 * length_s / len(kinds)), length_s)
    drawn = []
    for turn, at_s in enumerate(times):
        pair = [kinds[(2 * turn) % len(kinds)], kinds[(2 * turn + 1) % len(kinds)]]
        drawn.append((at_s, [_fault(dice, kind) for kind in pair] + [{"fault": "latency", "jitter_ms": 5}]))
    return drawn


def _fault(dice: random.Random, kind: str) -> Json:
    if kind == "limit":
        return {"fault": "limit", "concurrent": 6, "answer": "backpressure"}
    fault: Json = {"fault": kind, "on": list(_COMMANDS), "probability": round(dice.uniform(0.01, 0.1), 3)}
    if kind in _HANGS:
        fault["count"] = 2
    return fault
