"""When the next fetch is due."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jobfleet.auth.errors import AuthError, Kind
from jobfleet.auth.plan import RefreshPlan

OUTAGE = AuthError(Kind.OUTAGE, "down")
REJECTED = AuthError(Kind.REJECTED, "wrong secret")


def plan(share: float = 0.5) -> RefreshPlan:
    return RefreshPlan(lambda: share)


def test_first_fetch_is_due_at_once() -> None:
    assert plan().due_at <= 0


@given(share=st.floats(0, 1), life_s=st.floats(2, 86_400))
def test_token_is_fetched_anew_well_before_its_end(share: float, life_s: float) -> None:
    at_work = plan(share)
    at_work.granted(1000, life_s)
    assert 1000 + life_s * 0.69 <= at_work.due_at <= 1000 + life_s * 0.86


def test_fleets_do_not_come_all_at_once() -> None:
    early, late = plan(0), plan(1)
    early.granted(0, 3600)
    late.granted(0, 3600)
    assert late.due_at - early.due_at > 500


def test_token_that_is_dead_on_arrival_is_no_reason_to_ask_in_a_loop() -> None:
    at_work = plan()
    at_work.granted(1000, 0)
    assert at_work.due_at == 1001


def test_header_without_an_end_waits_for_a_refusal() -> None:
    at_work = plan()
    at_work.granted(0, None)
    assert (at_work.due_at, at_work.expires_at) == (float("inf"), None)
    at_work.refused(50)
    assert at_work.due_at == 50


@pytest.mark.parametrize(("error", "first_s", "longest_s"), [(OUTAGE, 0.5, 30), (REJECTED, 5, 600)])
def test_pauses_grow_and_never_end_the_trying(error: AuthError, first_s: float, longest_s: float) -> None:
    at_work = plan(1)
    pauses = []
    for _ in range(100):
        at_work.failed(0, error)
        pauses.append(at_work.due_at)
    assert (pauses[0], pauses[1], pauses[-1]) == (first_s, 2 * first_s, longest_s)


def test_server_that_asks_for_patience_gets_it_within_reason() -> None:
    at_work = plan()
    at_work.failed(0, AuthError(Kind.BUSY, "busy", retry_after_s=42))
    assert at_work.due_at == 42
    at_work.failed(0, AuthError(Kind.BUSY, "busy", retry_after_s=1e9))
    assert at_work.due_at == 900


def test_refused_header_is_replaced_once_and_then_with_growing_pauses() -> None:
    at_work = plan(1)
    at_work.granted(0, 3600)
    due = []
    for now in (10, 11, 12, 13):
        at_work.refused(now)
        due.append(at_work.due_at - now)
        at_work.granted(now, 3600)
    assert due == [0, 5, 10, 20]
    at_work.accepted()
    at_work.refused(20)
    assert at_work.due_at == 20


def test_refusals_do_not_shorten_the_pauses_of_a_breaker() -> None:
    at_work = plan(1)
    for _ in range(5):
        at_work.failed(0, REJECTED)
    at_work.refused(1)
    assert at_work.due_at == 80


def test_changed_file_is_used_at_once_whatever_failed_before() -> None:
    at_work = plan(1)
    for _ in range(5):
        at_work.failed(0, REJECTED)
    at_work.changed(3)
    assert at_work.due_at == 3
    at_work.failed(3, REJECTED)
    assert at_work.due_at == 8
