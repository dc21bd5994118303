"""When the dead are replaced. No clock: time goes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from jobfleet.supervisor.lifecycle import Reason
from jobfleet.supervisor.restart import (
    DEATHS_WORKING,
    FIRST_PAUSE_S,
    HEALTHY_JOBS,
    HEALTHY_S,
    LONGEST_PAUSE_S,
    PROBATION_S,
    START_FAILURES,
    Backoff,
    RestartPolicy,
)


def middle() -> float:
    return 0.5


def test_first_death_is_answered_at_once_and_further_ones_ever_later() -> None:
    backoff = Backoff(middle)
    assert [backoff.died(0) for _ in range(5)] == [0, 0.1, 0.2, 0.4, 0.8]


def test_healthy_life_ends_the_streak() -> None:
    backoff = Backoff(middle)
    for _ in range(5):
        backoff.died(1)
    assert backoff.died(HEALTHY_S) == 0
    assert backoff.died(0) == FIRST_PAUSE_S


def test_life_of_many_jobs_ends_the_streak_too() -> None:
    backoff = Backoff(middle)
    assert [backoff.died(1, HEALTHY_JOBS) for _ in range(20)] == [0] * 20
    assert backoff.died(1, HEALTHY_JOBS - 1) == FIRST_PAUSE_S


@given(st.lists(st.floats(0, 2 * HEALTHY_S), min_size=1, max_size=200), st.floats(0, 1, exclude_max=True))
def test_pause_is_always_within_its_bounds(lives: list[float], jitter: float) -> None:
    backoff = Backoff(lambda: jitter)
    pauses = [backoff.died(lived_s) for lived_s in lives]
    assert pauses[0] == 0
    assert all(pause == 0 or 0.75 * FIRST_PAUSE_S <= pause <= LONGEST_PAUSE_S for pause in pauses)


def test_streak_without_end_stays_at_the_longest_pause() -> None:
    backoff = Backoff(middle)
    assert [backoff.died(0) for _ in range(2000)][-1] == LONGEST_PAUSE_S


def test_death_that_was_a_jobs_fault_does_not_count() -> None:
    policy = RestartPolicy(1, middle)
    for _ in range(3 * DEATHS_WORKING):
        policy.ready(0, 0)
        assert policy.died(0, 1).opened is None
        policy.forgive(0)
    policy.ready(0, 0)
    assert policy.died(0, 1).delay_s == 0


def test_starts_that_fail_open_a_breaker_and_one_index_goes_on_trying() -> None:
    policy = RestartPolicy(4, middle)
    verdicts = [policy.died(index, 0) for index in range(START_FAILURES)]
    assert [verdict.opened for verdict in verdicts] == [None] * (START_FAILURES - 1) + [Reason.NEVER_READY]
    assert verdicts[-1].delay_s == 0
    assert policy.died(3, 0).delay_s is None
    assert policy.died(START_FAILURES - 1, 1).delay_s == FIRST_PAUSE_S


def test_breaker_of_starts_stays_closed_while_somebody_is_ready() -> None:
    policy = RestartPolicy(2, middle)
    policy.ready(0, 0)
    assert all(policy.died(1, 0).opened is None for _ in range(20))


def test_first_ready_worker_closes_the_breaker_of_starts() -> None:
    policy = RestartPolicy(1, middle)
    for _ in range(START_FAILURES):
        policy.died(0, 0)
    assert policy.breaker is Reason.NEVER_READY
    assert policy.ready(0, 1) is True
    assert policy.breaker is None


def die_working(policy: RestartPolicy, index: int, now_s: float) -> Reason | None:
    policy.ready(index, now_s)
    return policy.died(index, now_s + 1).opened


def test_deaths_while_working_open_a_breaker_when_every_index_has_its_streak() -> None:
    policy = RestartPolicy(2, middle)
    opened = [die_working(policy, number % 2, number) for number in range(2 * DEATHS_WORKING)]
    assert opened == [None] * (2 * DEATHS_WORKING - 1) + [Reason.DIES_WORKING]


def test_deaths_of_one_index_do_not_open_a_breaker_while_another_one_works() -> None:
    policy = RestartPolicy(2, middle)
    policy.ready(0, 0)
    assert all(die_working(policy, 1, number) is None for number in range(50))


def test_pool_whose_workers_died_is_trusted_again_after_a_probation() -> None:
    policy = RestartPolicy(1, middle)
    for number in range(DEATHS_WORKING):
        die_working(policy, 0, number)
    assert policy.breaker is Reason.DIES_WORKING
    assert policy.ready(0, 100) is False
    assert policy.survived_probation(0, 100 + PROBATION_S / 2) is False
    assert policy.survived_probation(0, 100 + PROBATION_S) is True
    assert policy.breaker is None


def test_worker_that_died_in_its_probation_does_not_close_the_breaker() -> None:
    policy = RestartPolicy(1, middle)
    for number in range(DEATHS_WORKING):
        die_working(policy, 0, number)
    policy.ready(0, 100)
    policy.died(0, 101)
    assert policy.survived_probation(0, 100 + PROBATION_S) is False
    assert policy.breaker is Reason.DIES_WORKING


@given(st.lists(st.tuples(st.integers(0, 2), st.booleans(), st.floats(0, 100)), max_size=100))
def test_some_index_always_has_a_way_back(steps: list[tuple[int, bool, float]]) -> None:
    """Whatever happens, not every index waits for a recovery that nobody works on."""
    policy, now_s = RestartPolicy(3, middle), 0.0
    waiting: set[int] = set()
    for index, becomes_ready, lived_s in steps:
        if index in waiting:
            continue
        now_s += lived_s
        if becomes_ready and policy.ready(index, now_s):
            waiting.clear()
        if policy.died(index, now_s + lived_s).delay_s is None:
            waiting.add(index)
        assert len(waiting) < 3
