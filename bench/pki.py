"""Certificates of an engine that is measured behind TLS."""

from __future__ import annotations

import ssl
from pathlib import Path

import trustme


class Pki:
    """One authority, and the engine's certificate from it."""

    def __init__(self) -> None:
        self._authority = trustme.CA()
        self._engine = self._authority.issue_cert("localhost")

    def engine_options(self) -> dict[str, str]:
        """`tls` of the local engine."""
        return {
            "cert_pem": self._engine.cert_chain_pems[0].bytes().decode(),
            "key_pem": self._engine.private_key_pem.bytes().decode(),
        }

    def client_context(self) -> ssl.SSLContext:
        """What the benchmark's own requests need."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        return context

    def fleet_env(self, folder: Path) -> dict[str, str]:
        """Put the authority into this folder; what a fleet needs to trust it."""
        file = folder / "ca.pem"
        self._authority.cert_pem.write_to_path(file)
        return {"CAMUNDA_MTLS_CA_PATH": str(file)}
