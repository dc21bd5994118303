"""A real Camunda 8.6.0 with jobs that wait for a client, and what the engine itself says of them."""

from __future__ import annotations

import re
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import TracebackType

import httpx

from bench.engine import PAYLOAD
from bench.tree import Tree
from tests.camunda import distribution
from tests.camunda.chain import chain
from tests.camunda.engine import CamundaEngine
from tests.camunda.java import find_java
from tests.camunda.needs import missing

JOB_TYPE = "noop"
TASKS = 20
"""Service tasks of an instance, one after the other: creating the jobs costs the engine one command in twenty."""
_CREATORS = 8
_COMPLETED = re.compile(r'^zeebe_job_events_total\{[^}]*action="completed"[^}]*\} (\S+)', re.MULTILINE)


class RealEngine:
    """Starts on entering, ends on leaving. Raises `RuntimeError` where a Camunda cannot be had."""

    def __enter__(self) -> RealEngine:
        lack, java = missing(), find_java()
        if lack or java is None:
            raise RuntimeError(lack)
        self._folder = tempfile.TemporaryDirectory(prefix="jf-bench-camunda-")
        self._broker = CamundaEngine(distribution.fetch(), java, Path(self._folder.name))
        self._broker.start()
        self.url = self._broker.url
        self.tree = Tree(self._broker.pid)
        self._http = httpx.Client(timeout=60)
        self._deploy()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self._broker.stop()
        self._folder.cleanup()

    def push(self, jobs: int) -> None:
        """Create instances until so many jobs will come of them; returns once all have begun."""
        with ThreadPoolExecutor(_CREATORS) as creators:
            for _ in creators.map(self._create, range(-(-jobs // TASKS))):
                pass

    def completed(self) -> int:
        """Jobs completed since the engine began, by its own metrics."""
        answer = self._http.get(f"{self._broker.management_url}/actuator/prometheus").raise_for_status()
        return sum(int(float(count)) for count in _COMPLETED.findall(answer.text))

    def _create(self, _: int) -> None:
        body = {"processDefinitionId": "chain", "variables": PAYLOAD}
        for attempt in range(100):
            answer = self._http.post(f"{self.url}/v2/process-instances", json=body)
            if answer.status_code != 429:
                answer.raise_for_status()
                return
            # Backpressure: the engine wants fewer at once.
            time.sleep(0.02 * (attempt + 1))
        raise RuntimeError("the engine refuses to create instances")

    def _deploy(self) -> None:
        text = chain("chain", [JOB_TYPE] * TASKS)
        files = {"resources": ("chain.bpmn", text.encode(), "application/xml")}
        self._http.post(f"{self.url}/v2/deployments", files=files).raise_for_status()
