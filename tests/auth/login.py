"""The token server as tests use it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.supervisor.running import DEADLINE_S

ROOT = Path(__file__).parents[2]
CLIENT_ID = "payments"
SECRET = "s3cret/+="


class LoginServer:
    """A token server in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.auth.token_server"], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{port}/token"
        self._client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=DEADLINE_S)

    def set(self, **changes: Any) -> dict[str, Any]:
        """Change its state; requests that hang go on."""
        return dict(self._client.post("/control", json=changes).raise_for_status().json())

    def look(self) -> dict[str, Any]:
        """Its state."""
        return dict(self._client.get("/control").raise_for_status().json())

    @property
    def requests(self) -> int:
        """How many token requests have come."""
        return int(self.look()["requests"])

    def environ(self, **more: str) -> dict[str, str]:
        """The variables by which a fleet logs in here."""
        return {
            "CAMUNDA_CLIENT_ID": CLIENT_ID,
            "CAMUNDA_CLIENT_SECRET": SECRET,
            "CAMUNDA_OAUTH_URL": self.url,
            "CAMUNDA_TOKEN_AUDIENCE": "engine",
            **more,
        }

    def close(self) -> None:
        """End it."""
        self._client.close()
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()
