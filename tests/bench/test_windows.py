"""The windows that show how even a rate is."""

from __future__ import annotations

import pytest

from bench.windows import Sample, usual, worst


def steady(seconds: float, rate: int, *, stalled: tuple[float, float] = (0.0, 0.0)) -> list[Sample]:
    """A sample each 10 ms; nothing is completed while stalled."""
    samples, completed = [], 0
    for number in range(round(seconds * 100)):
        at = number / 100
        samples.append(Sample(at, 0, completed))
        completed += 0 if stalled[0] <= at < stalled[1] else rate // 100
    return samples


def test_steady_rate_is_its_own_worst_half_second() -> None:
    samples = steady(3, 1000)
    assert usual(samples, 1, 3) == pytest.approx(1000)
    assert worst(samples, 1, 3) == pytest.approx(1000)


def test_stall_shows_in_the_worst_half_second_and_not_in_the_usual_one() -> None:
    samples = steady(4, 1000, stalled=(2.0, 2.1))
    assert usual(samples, 1, 4) == pytest.approx(1000)
    assert worst(samples, 1, 4) == pytest.approx(800, rel=0.03)


def test_half_seconds_that_ended_outside_the_time_do_not_count() -> None:
    samples = steady(4, 1000, stalled=(1.0, 1.1))
    assert worst(samples, 1.7, 4) == pytest.approx(1000)
