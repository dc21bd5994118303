"""Every transition that a table declares happens to the real objects: no entry of a table is there in vain."""

from __future__ import annotations

from functools import partial

import pytest
from jobfleet.supervisor.lifecycle import (
    FLEET_TRANSITIONS,
    POOL_TRANSITIONS,
    WORKER_TRANSITIONS,
    FleetState,
    PoolState,
    Reason,
    WorkerState,
)

from .stories import FleetStory, PoolStory, missing, play, trace

_W, _P, _F, _R = WorkerState, PoolState, FleetState, Reason

WORKERS = [
    ("loaded forked ready dies", _W.DEAD, _R.DIED),
    ("loaded forked ready drain leaves", _W.DEAD, _R.LEFT),
    ("loaded forked ready drain dies", _W.DEAD, _R.DIED),
    ("loaded forked ready retire leaves", _W.DEAD, _R.LEFT),
    ("loaded grow forked ready shrink leaves", _W.DEAD, _R.LEFT),
    ("loaded grow forked ready shrink drain leaves", _W.DEAD, _R.LEFT),
    ("loaded grow forked ready shrink retire leaves", _W.DEAD, _R.LEFT),
    ("loaded forked ready recycle leaves", _W.DEAD, _R.LEFT),
    ("loaded forked ready recycle_beside broken next forked ready", _W.READY, _R.CAME_UP),
    ("loaded forked ready broken dies", _W.DEAD, _R.DIED),
    ("loaded forked dies", _W.DEAD, _R.DIED),
    ("loaded fork_failed", _W.DEAD, _R.FORK_FAILED),
    ("loaded fork_lost", _W.DEAD, _R.ZYGOTE_LOST),
    ("loaded forked start_failed", _W.STOPPING, _R.START_FAILED),
    ("loaded forked overdue", _W.STOPPING, _R.START_TIMED_OUT),
    ("loaded forked broken", _W.STOPPING, _R.BROKEN_LINK),
    ("loaded forked drain ready", _W.DRAINING, _R.CAME_UP),
    ("loaded forked retire", _W.DRAINING, _R.RETIRED),
    ("loaded forked abandon", _W.DRAINING, _R.ABANDONED),
    ("loaded grow forked shrink", _W.DRAINING, _R.SCALED_DOWN),
    ("loaded forked drain start_failed", _W.STOPPING, _R.START_FAILED),
    ("loaded drain fork_failed", _W.DEAD, _R.FORK_FAILED),
    ("loaded drain fork_lost", _W.DEAD, _R.ZYGOTE_LOST),
    ("loaded forked ready drain broken", _W.STOPPING, _R.BROKEN_LINK),
    ("loaded forked ready drain grace_over", _W.STOPPING, _R.GRACE_OVER),
    ("loaded forked ready drain second_signal", _W.STOPPING, _R.SECOND_SIGNAL),
    ("loaded forked overdue ready", _W.STOPPING, _R.CAME_UP),
    ("loaded forked overdue start_failed", _W.STOPPING, _R.START_FAILED),
    ("loaded forked overdue broken", _W.STOPPING, _R.BROKEN_LINK),
    ("loaded forked overdue drain", _W.STOPPING, _R.DRAIN),
    ("loaded forked overdue retire", _W.STOPPING, _R.RETIRED),
    ("loaded forked overdue abandon", _W.STOPPING, _R.ABANDONED),
    ("loaded grow forked overdue shrink", _W.STOPPING, _R.SCALED_DOWN),
    ("loaded forked overdue drain grace_over", _W.STOPPING, _R.GRACE_OVER),
    ("loaded forked overdue drain second_signal", _W.STOPPING, _R.SECOND_SIGNAL),
    *[
        (f"loaded forked {before} {word}", _W.STOPPING, reason)
        for word, reason in [
            ("hard_limit", _R.OVERDUE),
            ("hangs", _R.HUNG),
            ("stalls", _R.GIL_STALLED),
            ("is_stopped", _R.STOPPED),
        ]
        for before in ("ready", "ready drain", "overdue")
    ],
    ("loaded drain second_signal fork_failed", _W.DEAD, _R.FORK_FAILED),
    ("loaded drain second_signal fork_lost", _W.DEAD, _R.ZYGOTE_LOST),
]
POOLS = [
    ("loaded forked ready", _P.READY, _R.CAME_UP),
    ("load_failed", _P.DEGRADED, _R.LOAD_FAILED),
    ("load_failed load_failed", _P.DEGRADED, _R.LOAD_FAILED),
    ("load_failed loaded comes_back", _P.READY, _R.RECOVERED),
    ("loaded dies_often", _P.DEGRADED, _R.NEVER_READY),
    ("loaded forked ready dies dies_often", _P.DEGRADED, _R.NEVER_READY),
    ("loaded works_and_dies_often", _P.DEGRADED, _R.DIES_WORKING),
    ("loaded forked ready dies load_failed", _P.DEGRADED, _R.LOAD_FAILED),
    ("load_failed loaded dies_often", _P.DEGRADED, _R.NEVER_READY),
    ("loaded works_and_nearly_dies_too_often load_failed dies", _P.DEGRADED, _R.DIES_WORKING),
    ("loaded dies_often comes_back", _P.READY, _R.RECOVERED),
    ("pause", _P.PAUSED, _R.PAUSE),
    ("loaded forked ready pause resume", _P.READY, _R.CAME_UP),
    ("loaded forked pause resume", _P.STARTING, _R.RESUME),
    ("load_failed pause resume", _P.DEGRADED, _R.LOAD_FAILED),
    ("pause load_failed", _P.PAUSED, _R.LOAD_FAILED),
    ("loaded pause dies_often", _P.PAUSED, _R.NEVER_READY),
    ("loaded forked ready pause works_and_dies_often", _P.PAUSED, _R.DIES_WORKING),
    ("loaded forked drain leaves", _P.DRAINED, _R.EMPTY),
    ("loaded forked retire", _P.DRAINING, _R.RETIRED),
    ("loaded forked ready drain", _P.DRAINING, _R.DRAIN),
    ("loaded forked ready retire", _P.DRAINING, _R.RETIRED),
    ("loaded dies_often comes_back drain", _P.DRAINING, _R.DRAIN),
    ("loaded forked pause drain", _P.DRAINING, _R.DRAIN),
    ("loaded forked pause retire", _P.DRAINING, _R.RETIRED),
    ("load_failed drain", _P.DRAINED, _R.EMPTY),
    ("load_failed retire", _P.DRAINED, _R.EMPTY),
]
TRIALS = [
    ("loaded forked ready", _P.STANDBY, _R.WARM),
    ("loaded forked ready switched", _P.READY, _R.SWITCHED),
    ("loaded forked ready abandon", _P.DRAINING, _R.ABANDONED),
    ("loaded forked ready abandon leaves", _P.DRAINED, _R.EMPTY),
    ("loaded forked ready drain", _P.DRAINING, _R.DRAIN),
    ("load_failed", _P.DRAINED, _R.EMPTY),
    ("loaded forked start_failed", _P.DRAINING, _R.ABANDONED),
    ("loaded forked overdue", _P.DRAINING, _R.ABANDONED),
    ("loaded dies_often", _P.DRAINED, _R.EMPTY),
]
FLEETS = [
    ("works", _F.RUNNING, _R.SETTLED),
    ("load_failed", _F.STOPPED, _R.LOAD_FAILED),
    ("term", _F.DRAINING, _R.DRAIN),
    ("works term drained", _F.STOPPED, _R.DRAINED),
    ("works term grace_over", _F.STOPPED, _R.GRACE_OVER),
    ("works term term_again", _F.STOPPED, _R.SECOND_SIGNAL),
    ("core_failed", _F.STOPPED, _R.CORE_FAILED),
    ("works core_failed", _F.STOPPED, _R.CORE_FAILED),
    ("works term core_failed", _F.STOPPED, _R.CORE_FAILED),
    ("works term drained core_failed", _F.STOPPED, _R.DRAINED),
]


@pytest.mark.parametrize(("words", "state", "reason"), WORKERS)
def test_life_of_a_worker(words: str, state: WorkerState, reason: Reason) -> None:
    worker = play(PoolStory, words).last
    assert (worker.state, worker.life.reason) == (state, reason)


@pytest.mark.parametrize(("words", "state", "reason"), POOLS)
def test_life_of_a_pool(words: str, state: PoolState, reason: Reason) -> None:
    pool = play(PoolStory, words).pool
    assert (pool.state, pool.life.reason) == (state, reason)


@pytest.mark.parametrize(("words", "state", "reason"), TRIALS)
def test_life_of_a_pool_on_trial(words: str, state: PoolState, reason: Reason) -> None:
    pool = play(partial(PoolStory, trial=True), words).pool
    assert (pool.state, pool.life.reason) == (state, reason)


@pytest.mark.parametrize(("words", "state", "reason"), FLEETS)
def test_life_of_a_fleet(words: str, state: FleetState, reason: Reason) -> None:
    fleet = play(FleetStory, words).fleet
    assert (fleet.state, fleet.life.reason) == (state, reason)


def test_stories_leave_no_declared_transition_untold(monkeypatch: pytest.MonkeyPatch) -> None:
    seen = trace(monkeypatch)
    for words, *_ in WORKERS + POOLS:
        play(PoolStory, words)
    for words, *_ in TRIALS:
        play(partial(PoolStory, trial=True), words)
    for words, *_ in FLEETS:
        play(FleetStory, words)
    tables = (WORKER_TRANSITIONS, POOL_TRANSITIONS, FLEET_TRANSITIONS)
    assert [missing(table, seen) for table in tables] == [[], [], []]  # type: ignore[arg-type]
