"""Fixtures: engines and fleets that end with the test, or with the module that shares them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from .engine import Engine
from .fleet import Fleet

StartFleet = Callable[..., Fleet]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine whose account adds up at the end of the test."""
    engine = Engine()
    yield engine
    engine.check()
    engine.close()


@pytest.fixture
def run_fleet(tmp_path: Path, engine: Engine) -> Iterator[StartFleet]:
    """Start fleets in `tmp_path` against `engine`; they end with the test."""
    with ExitStack() as stack:

        def run(source: str, *options: str, **others: object) -> Fleet:
            fleet = Fleet(tmp_path, source, engine, *options, **others)  # type: ignore[arg-type]
            stack.callback(fleet.close)
            return fleet

        yield run


@contextmanager
def fleet_on_its_own_engine(folder: Path, handlers: str, dialect: str, *options: str) -> Iterator[Fleet]:
    """A running fleet, which has to end well, on an engine whose account has to be clean then."""
    engine = Engine(dialect=dialect)
    fleet = Fleet(folder, handlers, engine, *options)
    try:
        yield fleet.wait_running()
        assert fleet.stop() == 0
    finally:
        fleet.close()
        engine.check()
        engine.close()


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """One fleet for all tests of a module: its `HANDLERS`, run with its `OPTIONS` on an engine of its `DIALECT`."""
    dialect, folder = getattr(request.module, "DIALECT", "8.10"), tmp_path_factory.mktemp("fleet")
    with fleet_on_its_own_engine(folder, request.module.HANDLERS, dialect, *request.module.OPTIONS) as fleet:
        yield fleet
