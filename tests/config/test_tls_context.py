"""The certificates of the settings, as Python's own requests use them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import msgspec
import pytest
from jobfleet._core import LocalEngine
from jobfleet.config.secret import Secret
from jobfleet.config.tls import TlsSettings
from jobfleet.config.tls_context import client_context

from tests.system.pki import Pki


@pytest.fixture
def pki() -> Pki:
    """Certificates of an engine and its client."""
    return Pki()


@pytest.fixture
def url(pki: Pki) -> Iterator[str]:
    """An engine that lets nobody in without a certificate."""
    engine = LocalEngine(json.dumps({"tls": pki.engine_options()}).encode())
    yield f"https://localhost:{engine.port}/v2/topology"
    engine.stop()


def files(pki: Pki, folder: Path) -> TlsSettings:
    variables = pki.write(folder)
    ca, cert, key = (Path(variables[f"CAMUNDA_MTLS_{name}_PATH"]) for name in ("CA", "CERT", "KEY"))
    return TlsSettings(ca_file=ca, cert_file=cert, key_file=key)


def texts(tls: TlsSettings) -> TlsSettings:
    ca, cert, key = (file.read_text() for file in (tls.ca_file, tls.cert_file, tls.key_file) if file)
    return TlsSettings(ca_pem=ca, cert_pem=cert, key_pem=Secret(key))


def ask(url: str, tls: TlsSettings) -> int:
    with httpx.Client(verify=client_context(tls), trust_env=False) as client:
        return client.get(url).status_code


def test_files_and_texts_open_the_same_door(pki: Pki, url: str, tmp_path: Path) -> None:
    tls = files(pki, tmp_path)
    assert ask(url, tls) == ask(url, texts(tls)) == 200


def test_engine_is_not_trusted_without_its_authority(pki: Pki, url: str, tmp_path: Path) -> None:
    tls = msgspec.structs.replace(files(pki, tmp_path), ca_file=None)
    with pytest.raises(httpx.ConnectError, match="certificate verify failed"):
        ask(url, tls)


def test_certificate_that_cannot_be_used_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"engine\.tls: the certificates cannot be used"):
        client_context(TlsSettings(ca_file=tmp_path / "absent.pem"))
