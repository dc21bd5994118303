"""A short soak, and its judge."""

from __future__ import annotations

from typing import Any

import pytest

from bench.soak.plan import draw
from bench.soak.soak import soak
from bench.soak.verdict import NEVER, judge_account, judge_footprints, judge_life

CLEAN: dict[str, Any] = dict.fromkeys((*NEVER, "waiting", "in_flight", "errors_thrown", "incidents"), 0) | {
    "created": 5,
    "completed": 5,
}


def test_short_soak_leaves_a_clean_account() -> None:
    halves = soak(12.0, 7, print)
    assert [half.wrong for half in halves] == [[], []]
    for half in halves:
        assert half.account["handed_back"] > 0
        assert half.acts["kill"] >= 4
        assert half.acts["faults"] >= 16


@pytest.mark.parametrize("word", NEVER)
def test_words_that_must_stay_zero_are_judged(word: str) -> None:
    assert judge_account(CLEAN) == []
    assert any(word in wrong for wrong in judge_account(CLEAN | {word: 1}))


def test_jobs_that_are_left_and_sums_that_are_wrong_are_judged() -> None:
    assert judge_account(CLEAN | {"waiting": 1, "created": 6})
    assert judge_account(CLEAN | {"created": 6})


def test_what_a_life_leaves_behind_is_judged() -> None:
    status: dict[str, Any] = {
        "slot_audit": {"checks": 9, "disagreements": 0, "mended": 0},
        "fleet": {"illegal_transitions": 0},
    }
    assert judge_life(status, 0, [], []) == []
    assert len(judge_life(status, 1, [17], ["a defect"])) == 3
    assert judge_life(status | {"slot_audit": {"checks": 9, "disagreements": 1, "mended": 1}}, 0, [], [])


def test_growth_of_a_supervisor_is_judged() -> None:
    assert judge_footprints([(50, 30.0)] * 40) == []
    assert judge_footprints([(50 + 10 * second, 30.0) for second in range(40)])
    assert judge_footprints([(50, 30.0 + second) for second in range(40)])


def test_chaos_is_the_same_for_the_same_seed_and_brings_every_fault() -> None:
    assert draw(1, 30) == draw(1, 30)
    assert draw(1, 30) != draw(2, 30)
    acts = draw(1, 10)
    kinds = {fault["fault"] for act in acts for fault in act.faults}
    assert len(kinds) >= 19
    assert {act.kind for act in acts} >= {"kill", "stop", "zygote", "reload", "faults"}
