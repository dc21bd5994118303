"""Pauses and durations."""

from datetime import timedelta

import pytest
from jobfleet.handlers.backoff import DEFAULT_BACKOFF, Backoff, backoff_for
from jobfleet.handlers.duration import to_ms


@pytest.mark.parametrize(
    ("value", "milliseconds"),
    [
        ("250ms", 250),
        ("30s", 30_000),
        (" 5 m ", 300_000),
        ("1.5h", 5_400_000),
        ("1d", 86_400_000),
        (2, 2_000),
        (0.5, 500),
        (0, 0),
        (timedelta(minutes=1), 60_000),
    ],
)
def test_durations_have_many_forms(value: float | str | timedelta, milliseconds: int) -> None:
    assert to_ms(value, "lease") == milliseconds


@pytest.mark.parametrize("value", ["", "5", "5 parsecs", "-5s", -1, float("inf"), float("nan"), True, timedelta(-1)])
def test_what_is_no_duration_is_refused_by_name(value: float | str | timedelta) -> None:
    with pytest.raises(ValueError, match="lease is"):
        to_ms(value, "lease")


def test_pause_grows_with_each_try_up_to_its_maximum() -> None:
    backoff = Backoff(first="1s", factor=3, maximum="5s", jitter=0.0)
    assert [backoff.pause_ms(retries) for retries in (5, 3, 2, 1)] == [1000, 1000, 3000, 5000]


def test_pause_counts_from_the_declared_tries() -> None:
    backoff = Backoff(first=1, jitter=0.0, tries=6)
    assert [backoff.pause_ms(retries) for retries in (6, 5, 4)] == [1000, 2000, 4000]
    assert [backoff.retries_left(retries) for retries in (10, 6, 1, 0)] == [5, 5, 0, 0]


def test_pause_never_overflows() -> None:
    assert Backoff(factor=100, tries=100_000, jitter=0.0).pause_ms(1) == 60_000


def test_jitter_adds_at_most_its_share() -> None:
    pauses = {DEFAULT_BACKOFF.pause_ms(3) for _ in range(200)}
    assert 1000 <= min(pauses) < max(pauses) <= 1200


def test_the_most_specific_exception_class_counts() -> None:
    slow, slower = Backoff(first=2), Backoff(first=3)
    option = {OSError: slow, ConnectionError: slower}
    assert backoff_for(option, ConnectionResetError) is slower
    assert backoff_for(option, FileNotFoundError) is slow
    assert backoff_for(option, KeyError) is DEFAULT_BACKOFF
    assert backoff_for(slow, KeyError) is slow
