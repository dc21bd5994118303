"""The engine of the session, and a client of it."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterator

import pytest

from . import distribution
from .client import CamundaClient
from .engine import CamundaEngine
from .java import NEEDED, find_java

REQUIRED = "REQUIRE_CAMUNDA"
"""The environment variable that turns a skip for want of Java or Maven into a failure."""


def missing() -> str | None:
    """What this machine lacks for a real Camunda, as a sentence, or None."""
    if find_java() is None:
        return f"A real Camunda {distribution.VERSION} needs Java {NEEDED} or newer; install one or set JAVA_HOME."
    if distribution.cached() is None and distribution.maven() is None:
        return f"Camunda {distribution.VERSION} is fetched with Maven; install it."
    return None


@pytest.fixture(scope="package")
def camunda_engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CamundaEngine]:
    """A running Camunda, one for all tests of the session."""
    if lack := missing():
        if os.environ.get(REQUIRED) == "1":
            pytest.fail(f"{lack} ({REQUIRED}=1 forbids to skip.)", pytrace=False)
        pytest.skip(lack)
    java_home = find_java()
    assert java_home is not None
    engine = CamundaEngine(distribution.fetch(), java_home, tmp_path_factory.mktemp("camunda"))
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
