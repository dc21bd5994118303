"""What the tests ask of the engine over REST: deploy, create, look, resolve.

Camunda 8.6 without a search database answers no queries. So a test learns what became of an instance by waiting
for its end, by taking a job of a later task itself, or by the engine's answer to a command.
"""

from __future__ import annotations

import ssl
import time
from pathlib import Path
from typing import Any

import httpx

BPMN = Path(__file__).parent / "bpmn"

Json = dict[str, Any]


class CamundaClient:
    """A small synchronous client of `/v2`."""

    def __init__(self, url: str, trust: ssl.SSLContext | None = None) -> None:
        self.url = url
        self._http = httpx.Client(base_url=f"{url}/v2", timeout=90, verify=trust or True)

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def topology(self) -> Json:
        """The cluster as the gateway sees it."""
        return self._answer(self._http.get("/topology"))

    def deploy(self, template: str, name: str) -> str:
        """Deploy `bpmn/<template>.bpmn` as the process `name`, whose job types begin with `name`; returns `name`."""
        text = (BPMN / f"{template}.bpmn").read_text(encoding="utf-8").replace("@NAME@", name)
        return self.deploy_text(text, name)

    def deploy_text(self, text: str, name: str) -> str:
        """Deploy the BPMN `text` of the process `name`; returns `name`."""
        files = {"resources": (f"{name}.bpmn", text.encode(), "application/xml")}
        self._answer(self._http.post("/deployments", files=files))
        return name

    def create(self, process: str, **variables: object) -> int:
        """Create an instance and return its key at once."""
        body = {"processDefinitionId": process, "variables": variables}
        return int(self._answer(self._http.post("/process-instances", json=body))["processInstanceKey"])

    def cancel(self, instance: int) -> None:
        """Cancel an instance, with its jobs."""
        self._answer(self._http.post(f"/process-instances/{instance}/cancellation", json={}))

    def run(self, process: str, **variables: object) -> Json:
        """Create an instance, wait for its end and return its variables.

        8.6 waits for 15 s whatever it is asked for; then this raises `RuntimeError` with its words.
        """
        body = {"processDefinitionId": process, "variables": variables, "awaitCompletion": True}
        return dict(self._answer(self._http.post("/process-instances", json=body))["variables"])

    def activate(self, job_type: str, count: int = 1, lease_s: float = 60.0, hold_s: float = 10.0) -> list[Json]:
        """Take up to `count` jobs, waiting up to `hold_s` for the first."""
        body = {
            "type": job_type,
            "maxJobsToActivate": count,
            "timeout": int(lease_s * 1000),
            "requestTimeout": int(hold_s * 1000),
            "worker": "test",
        }
        return list(self._answer(self._http.post("/jobs/activation", json=body))["jobs"])

    def take_all(self, job_type: str, count: int, deadline_s: float = 60.0) -> list[Json]:
        """Take `count` jobs as they come; raises `TimeoutError` when they do not."""
        jobs: list[Json] = []
        end = time.monotonic() + deadline_s
        while len(jobs) < count:
            if time.monotonic() > end:
                raise TimeoutError(f"{len(jobs)} of {count} jobs of {job_type} came within {deadline_s:g} s")
            jobs += self.activate(job_type, count - len(jobs), hold_s=2)
        return jobs

    def complete(self, job_key: int, **variables: object) -> None:
        """Complete a job."""
        self._answer(self._http.post(f"/jobs/{job_key}/completion", json={"variables": variables}))

    def fail(self, job_key: int, retries: int, message: str = "") -> httpx.Response:
        """Fail a job, and return the answer whatever it is."""
        return self._http.post(f"/jobs/{job_key}/failure", json={"retries": retries, "errorMessage": message})

    def set_retries(self, job_key: int, retries: int) -> None:
        """Give a job retries again."""
        self._answer(self._http.patch(f"/jobs/{job_key}", json={"changeset": {"retries": retries}}))

    def resolve_incident(self, after: int, before: int) -> int:
        """Resolve the one incident whose key lies between two keys; returns its key.

        One partition counts its keys upward, and 8.6 tells the key of an incident in no other way. Raises
        `LookupError` when there is no incident there.
        """
        for key in range(after + 1, before):
            if self._http.post(f"/incidents/{key}/resolution", json={}).status_code == 204:
                return key
        raise LookupError(f"no incident between {after} and {before}")

    @staticmethod
    def _answer(response: httpx.Response) -> Json:
        if response.is_success:
            return dict(response.json()) if response.content else {}
        raise RuntimeError(f"{response.request.method} {response.request.url}: {response.status_code} {response.text}")
