"""What a soak must not show. The account is the engine's, not the fleet's."""

from __future__ import annotations

from statistics import median
from typing import Any, Final

Json = dict[str, Any]

NEVER: Final = ("lost", "expired", "settled_twice", "foreign", "unexplained")
"""Words of the account that stay zero. `unexplained` are hand-backs without a reason."""

# What comes and goes with the connections to the engine and with forks under way.
_SPARE_DESCRIPTORS: Final = 64
_SPARE_MEGABYTES: Final = 12.0
# Growth of the first seconds is warming up; fewer samples say nothing.
_LEAST_SAMPLES: Final = 12


def judge_account(account: Json) -> list[str]:
    """What is wrong with the account at the end, in one sentence each."""
    wrong = [f"{word} is {account[word]}, and must be 0" for word in NEVER if account[word]]
    left = account["waiting"] + account["in_flight"]
    if left:
        wrong.append(f"{left} jobs have not come to their end: {account}")
    ended = account["completed"] + account["errors_thrown"] + account["incidents"]
    if account["created"] != ended + left + account["lost"]:
        wrong.append(f"the account does not add up: {account}")
    if not account["completed"]:
        wrong.append("no job was completed at all")
    return wrong


def judge_life(status: Json, exit_status: int, orphans: list[int], defects: list[str]) -> list[str]:
    """What is wrong with one life of the fleet: its last status, and what it left behind."""
    wrong = [f"the fleet's log: {line}" for line in defects[:10]]
    if exit_status != 0:
        wrong.append(f"the fleet's exit status is {exit_status}, and must be 0")
    if orphans:
        wrong.append(f"processes {orphans} outlive their supervisor")
    audit = status["slot_audit"]
    if audit["disagreements"] or not audit["checks"]:
        wrong.append(f"the slot audit says {audit}")
    if status["fleet"]["illegal_transitions"]:
        wrong.append(f"{status['fleet']['illegal_transitions']} transitions that no table knows")
    return wrong


def judge_footprints(footprints: list[tuple[int, float]]) -> list[str]:
    """Whether descriptors and memory of a supervisor grew between the first half of its life and the end of it."""
    if len(footprints) < _LEAST_SAMPLES:
        return []
    quarter = len(footprints) // 4
    early, late = footprints[quarter : 2 * quarter], footprints[-quarter:]
    wrong = []
    for index, (what, spare) in enumerate([("descriptors", _SPARE_DESCRIPTORS), ("megabytes", _SPARE_MEGABYTES)]):
        before, after = (median(sample[index] for sample in samples) for samples in (early, late))
        if after > before + spare:
            wrong.append(f"the supervisor's {what} grew from {before:.0f} to {after:.0f}")
    return wrong
