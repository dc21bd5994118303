"""Fixtures: a token server, engines that check credentials, and fleets that log in."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.auth.login import LoginServer
from tests.system.engine import Engine
from tests.system.fleet import Fleet


@pytest.fixture(scope="session")
def _login_server() -> Iterator[LoginServer]:
    server = LoginServer()
    yield server
    server.close()


@pytest.fixture
def login(_login_server: LoginServer) -> LoginServer:
    """A token server as new."""
    _login_server.set(reset=True)
    return _login_server


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine whose account adds up at the end of the test."""
    engine = Engine()
    yield engine
    engine.check()
    engine.close()


StartFleet = Callable[..., Fleet]


@pytest.fixture
def run_fleet(tmp_path: Path, engine: Engine) -> Iterator[StartFleet]:
    """Start fleets in `tmp_path` against `engine`, with these variables; they end with the test."""
    with ExitStack() as stack:

        def run(source: str, *options: str, **others: object) -> Fleet:
            fleet = Fleet(tmp_path, source, engine, *options, **others)  # type: ignore[arg-type]
            stack.callback(fleet.close)
            return fleet

        yield run
