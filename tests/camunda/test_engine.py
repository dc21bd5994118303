"""The fixture itself: the engine starts, and what the fleet's tests rely on holds."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from . import distribution, java, needs
from .client import CamundaClient

# The first test of a session may have to fetch 300 MB and start the engine.
pytestmark = pytest.mark.timeout(900)


def test_engine_is_the_version_that_was_asked_for(camunda: CamundaClient) -> None:
    assert camunda.topology()["gatewayVersion"] == distribution.VERSION


def test_instance_ends_when_its_job_is_completed(camunda: CamundaClient, name: str) -> None:
    camunda.deploy("one_task", name)
    with ThreadPoolExecutor(1) as pool:
        ended = pool.submit(camunda.run, name, order=7)
        (job,) = camunda.activate(f"{name}-work")
        camunda.complete(job["key"], done=True)
        assert ended.result() == {"order": 7, "done": True}
    assert job["variables"] == {"order": 7}
    assert job["customHeaders"] == {"colour": "green"}


def test_incident_is_found_by_its_key_and_resolved(camunda: CamundaClient, name: str) -> None:
    camunda.deploy("one_task", name)
    first = camunda.create(name)
    (job,) = camunda.activate(f"{name}-work")
    assert camunda.fail(job["key"], retries=1).status_code == 204
    (job,) = camunda.activate(f"{name}-work")
    with pytest.raises(LookupError):
        camunda.resolve_incident(first, camunda.create(name))
    assert camunda.fail(job["key"], retries=0).status_code == 204
    camunda.set_retries(job["key"], 1)
    camunda.resolve_incident(first, camunda.create(name))
    keys = [again["key"] for again in camunda.activate(f"{name}-work", count=3)]
    assert job["key"] in keys


def test_old_java_is_not_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "bin" / "java"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho 'openjdk version \"17.0.1\" 2021-10-19' >&2\n")
    program.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(program.parent))
    monkeypatch.setattr(java, "_SEARCHED", ())
    assert java.find_java() is None
    assert "needs Java 21" in str(needs.missing())
    program.write_text("#!/bin/sh\necho 'openjdk version \"21.0.1\" 2023-10-17' >&2\n")
    assert java.find_java() == tmp_path


def test_absent_maven_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(needs, "find_java", lambda: tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Maven" in str(needs.missing())
