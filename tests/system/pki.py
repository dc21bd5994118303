"""Certificates of an engine and of its fleet, each from an authority of its own."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Any

import trustme


class Pki:
    """Two authorities, the engine's certificate, and the one that a fleet shows."""

    def __init__(self, host: str = "localhost") -> None:
        self._authority = trustme.CA()
        self._clients = trustme.CA()
        self._engine = self._authority.issue_cert(host)
        self._client = self._clients.issue_cert("fleet.test")

    def engine_options(self) -> dict[str, Any]:
        """`tls` of the local engine, which lets nobody in without a certificate."""
        return {
            "cert_pem": self._engine.cert_chain_pems[0].bytes().decode(),
            "key_pem": self._engine.private_key_pem.bytes().decode(),
            "client_ca_pem": self._clients.cert_pem.bytes().decode(),
        }

    def client_context(self) -> ssl.SSLContext:
        """What a test's own client needs."""
        context = ssl.create_default_context()
        self._authority.configure_trust(context)
        self._client.configure_cert(context)
        return context

    def write(self, folder: Path) -> dict[str, str]:
        """Put the fleet's files in place, each in one step; Camunda's variables that name them."""
        texts = {
            "CA": self._authority.cert_pem.bytes(),
            "CERT": self._client.cert_chain_pems[0].bytes(),
            "KEY": self._client.private_key_pem.bytes(),
        }
        variables = {}
        for name, text in texts.items():
            file = folder / f"{name.lower()}.pem"
            (folder / "next").write_bytes(text)
            (folder / "next").rename(file)
            variables[f"CAMUNDA_MTLS_{name}_PATH"] = str(file)
        return variables
