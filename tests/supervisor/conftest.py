"""Fixtures for tests of the supervisor."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from jobfleet.supervisor.lifecycle import LifeCycle

from .running import RunningFleet


@pytest.fixture(autouse=True)
def _strict_life_cycles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A transition that no table knows fails the test."""
    monkeypatch.setattr(LifeCycle, "strict", True)


@pytest.fixture
def run_fleet(tmp_path: Path) -> Iterator[Callable[..., RunningFleet]]:
    """Start fleets in `tmp_path`; they end with the test. No illegal transition may have happened in them."""
    fleets: list[RunningFleet] = []

    def run(source: str, *options: str, environ: dict[str, str] | None = None) -> RunningFleet:
        fleets.append(RunningFleet(tmp_path, source, *options, environ=environ))
        return fleets[-1]

    yield run
    for fleet in fleets:
        fleet.close()
        assert not [record for record in fleet.records if "defect" in record["message"]]
