"""The engine of the session, and a client of it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from . import distribution
from .client import CamundaClient
from .engine import CamundaEngine
from .fleet import Fleet, StartFleet
from .java import find_java
from .meddler import Meddler
from .needs import missing

REQUIRED = "REQUIRE_CAMUNDA"
"""The environment variable that turns a skip for want of Java or Maven into a failure."""


def engine_home() -> tuple[Path, Path]:
    """The distribution and a Java for it; skips where they cannot be had."""
    if lack := missing():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{lack} ({REQUIRED}=1 forbids to skip.)", pytrace=False)
        pytest.skip(lack)
    java_home = find_java()
    assert java_home is not None
    return distribution.fetch(), java_home


@pytest.fixture(scope="package")
def camunda_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CamundaEngine]:
    """A running Camunda, one for all tests of the session."""
    engine = CamundaEngine(*engine_home(), tmp_path_factory.mktemp("camunda"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def camunda(camunda_engine: CamundaEngine) -> Iterator[CamundaClient]:
    """A client of the session's engine."""
    client = CamundaClient(camunda_engine.url)
    yield client
    client.close()


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name for a process that no other test uses."""
    stem = re.sub(r"[\W_]+", "-", request.node.name.removeprefix("test_"))
    return f"{stem[:60]}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def meddler(camunda_engine: CamundaEngine) -> Iterator[Meddler]:
    """A proxy in front of the session's engine."""
    meddler = Meddler(camunda_engine.url)
    yield meddler
    meddler.close()


@pytest.fixture
def start_fleet(camunda_engine: CamundaEngine, name: str, tmp_path: Path) -> Iterator[StartFleet]:
    """Starts fleets for the process `name`, at the session's engine unless `url` is another; ends them."""
    fleets: list[Fleet] = []

    def start(
        handlers: str, *options: str, url: str = camunda_engine.url, environ: dict[str, str] | None = None
    ) -> Fleet:
        fleet = Fleet(url, name, tmp_path, *options, environ=environ)
        fleets.append(fleet)
        fleet.start(handlers)
        return fleet

    yield start
    for fleet in fleets:
        fleet.close()
