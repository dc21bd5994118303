"""Starting and stopping one real Camunda broker with its REST gateway: no container, no database."""

from __future__ import annotations

import os
import ssl
import subprocess
from collections.abc import Mapping
from pathlib import Path

import httpx

from bench.tether import die_with_parent
from tests.ports import free_ports

from .waiting import wait_until


class CamundaEngine:
    """A broker on loopback ports of its own, with one partition, its data and its log in `directory`.

    `settings` are environment variables of the broker that win over those of the tests; `trust` makes its gateway one
    of https at `localhost`, as those settings then have to say.
    """

    def __init__(
        self,
        home: Path,
        java_home: Path,
        directory: Path,
        settings: Mapping[str, str] | None = None,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        self.directory = directory
        self.log = directory / "camunda.log"
        self.trust = trust
        self._home = home
        self._java_home = java_home
        self._given = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._rest, self._grpc, self._management, self._command, self._internal = free_ports(5)

    @property
    def url(self) -> str:
        """The base URL of the REST gateway, without `/v2`."""
        origin = f"http://127.0.0.1:{self._rest}" if self.trust is None else f"https://localhost:{self._rest}"
        return origin + self._given.get("SERVER_SERVLET_CONTEXTPATH", "")

    @property
    def management_url(self) -> str:
        """The base URL of the engine's own state and switches, below `/actuator`."""
        return f"http://127.0.0.1:{self._management}"

    @property
    def grpc_url(self) -> str:
        """Where the gateway speaks gRPC, as an address of the wrong kind."""
        return f"http://127.0.0.1:{self._grpc}"

    @property
    def pid(self) -> int:
        """The broker's process; 0 while it does not run."""
        return 0 if self._process is None else self._process.pid

    def start(self, deadline_s: float = 120.0) -> None:
        """Start, and return once processes can be deployed and run."""
        self.directory.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [self._home / "bin" / "broker"],
                cwd=self.directory,
                env=os.environ | self._settings(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509
            )
        try:
            wait_until(self._is_ready, f"Camunda ready (see {self.log})", deadline_s, every_s=0.2)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the broker: politely, then by force. Its data stays."""
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)

    def kill(self) -> None:
        """End the broker without a chance to tidy up. Its data stays, and `start` continues with it."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait(30)

    def _is_ready(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"Camunda ended while starting: {self.log.read_text(errors='replace')[-800:]}")
        try:
            health = httpx.get(f"{self.management_url}/actuator/health/readiness", timeout=2)
            topology = httpx.get(f"{self.url}/v2/topology", timeout=2, verify=self.trust or True)
        except httpx.TransportError:
            return False
        if health.status_code != 200 or topology.status_code != 200:
            return False
        partitions = [part for broker in topology.json()["brokers"] for part in broker["partitions"]]
        return any(part["role"] == "leader" and part["health"] == "healthy" for part in partitions)

    def _settings(self) -> dict[str, str]:
        host = "127.0.0.1"
        return {
            "JAVA_HOME": str(self._java_home),
            "JAVA_OPTS": "-Xms64m -Xmx512m -XX:+UseSerialGC",
            "SPRING_PROFILES_ACTIVE": "broker",
            "SERVER_ADDRESS": host,
            "SERVER_PORT": str(self._rest),
            "MANAGEMENT_SERVER_ADDRESS": host,
            "MANAGEMENT_SERVER_PORT": str(self._management),
            "ZEEBE_BROKER_GATEWAY_ENABLE": "true",
            "ZEEBE_BROKER_GATEWAY_NETWORK_HOST": host,
            "ZEEBE_BROKER_GATEWAY_NETWORK_PORT": str(self._grpc),
            "ZEEBE_BROKER_NETWORK_HOST": host,
            "ZEEBE_BROKER_NETWORK_COMMANDAPI_PORT": str(self._command),
            "ZEEBE_BROKER_NETWORK_INTERNALAPI_PORT": str(self._internal),
            "ZEEBE_BROKER_DATA_DIRECTORY": str(self.directory / "data"),
            # Small and quick to start; a test's data need not survive a power cut.
            "ZEEBE_BROKER_DATA_LOGSEGMENTSIZE": "16MB",
            "ZEEBE_BROKER_CLUSTER_RAFT_FLUSH_ENABLED": "false",
            "ZEEBE_BROKER_EXPERIMENTAL_ROCKSDB_MEMORYLIMIT": "64MB",
            # The defaults stop the engine on a disk with less than some gigabytes free.
            "ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING": "200MB",
            "ZEEBE_BROKER_DATA_DISK_FREESPACE_REPLICATION": "100MB",
        } | self._given
