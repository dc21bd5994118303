"""The transition tables, and what happens beyond them."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import pytest
from jobfleet.supervisor.lifecycle import (
    FLEET_TRANSITIONS,
    POOL_TRANSITIONS,
    WORKER_TRANSITIONS,
    FleetState,
    IllegalTransition,
    LifeCycle,
    PoolState,
    Reason,
    WorkerState,
)

TABLES: list[tuple[Mapping[Any, Any], type[enum.Enum]]] = [
    (WORKER_TRANSITIONS, WorkerState),
    (POOL_TRANSITIONS, PoolState),
    (FLEET_TRANSITIONS, FleetState),
]
DECLARED = [
    pytest.param(table, state, reason, target, id=f"{type(state).__name__}-{state.value}-{reason.name}")
    for table, _ in TABLES
    for (state, reason), target in table.items()
]


@pytest.mark.parametrize(("table", "state", "reason", "target"), DECLARED)
def test_declared_transition_leads_where_the_table_says(
    table: Mapping[Any, Any], state: Any, reason: Reason, target: Any
) -> None:
    life: LifeCycle[Any] = LifeCycle(table, state)
    assert life.leave(reason) is (target is not state)
    assert (life.state, life.reason) == (target, reason)


@pytest.mark.parametrize(("table", "states"), TABLES, ids=["worker", "pool", "fleet"])
def test_every_state_is_reached_from_the_first(table: Mapping[Any, Any], states: type[enum.Enum]) -> None:
    reached = {next(iter(states))}
    while more := {target for (state, _), target in table.items() if state in reached} - reached:
        reached |= more
    assert reached == set(states)


def test_what_is_dead_stays_dead() -> None:
    assert not [state for state, _ in WORKER_TRANSITIONS if state is WorkerState.DEAD]
    assert not [state for state, _ in FLEET_TRANSITIONS if state is FleetState.STOPPED]


def test_every_reason_is_used_by_a_table() -> None:
    assert {reason for table, _ in TABLES for _, reason in table} == set(Reason)


def test_illegal_transition_fails_a_test() -> None:
    with pytest.raises(IllegalTransition):
        LifeCycle(WORKER_TRANSITIONS, WorkerState.DEAD).leave(Reason.CAME_UP)


def test_illegal_transition_is_counted_told_and_survived_in_production(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LifeCycle, "strict", False)
    monkeypatch.setattr(LifeCycle, "illegal", 0)
    told: list[str] = []
    life = LifeCycle(WORKER_TRANSITIONS, WorkerState.DEAD, told.append)
    assert life.leave(Reason.CAME_UP) is False
    assert life.state is WorkerState.DEAD
    assert LifeCycle.illegal == 1
    assert "CAME_UP" in told[0]
