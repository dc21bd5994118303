"""Certificates of the way to the engine: their settings, and Camunda's variables for them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from jobfleet.config.secret import Secret

CAMUNDA_VARIABLES: Final[Mapping[str, str]] = {
    "CAMUNDA_MTLS_CA": "ca_pem",
    "CAMUNDA_MTLS_CA_PATH": "ca_file",
    "CAMUNDA_MTLS_CERT": "cert_pem",
    "CAMUNDA_MTLS_CERT_PATH": "cert_file",
    "CAMUNDA_MTLS_KEY": "key_pem",
    "CAMUNDA_MTLS_KEY_PATH": "key_file",
    "CAMUNDA_MTLS_KEY_PASSPHRASE": "key_passphrase",
}
"""Variables of Camunda's SDKs, and the settings in `[engine.tls]` that they stand for."""


class TlsSettings(msgspec.Struct, frozen=True, kw_only=True):
    """For https. Text in PEM wins over a file; files are read again for new connections once they have changed."""

    ca_file: Annotated[Path | None, Meta(description="Authorities to trust beside those of the system, in PEM.")] = None
    ca_pem: Annotated[str | None, Meta(description="Authorities to trust beside those of the system, as PEM text.")] = (
        None
    )
    cert_file: Annotated[
        Path | None, Meta(description="The fleet's own certificate and what leads to its authority, in PEM.")
    ] = None
    cert_pem: Annotated[
        str | None, Meta(description="The fleet's own certificate and what leads to its authority, as PEM text.")
    ] = None
    key_file: Annotated[Path | None, Meta(description="The private key of the fleet's own certificate, in PEM.")] = None
    key_pem: Annotated[
        Secret | None, Meta(description="The private key of the fleet's own certificate, as PEM text.")
    ] = None
    key_passphrase: Annotated[Secret | None, Meta(description="What decrypts the private key (PKCS #8).")] = None
    server_name: Annotated[
        str | None,
        Meta(description="The name to find in the engine's certificate, where it is not the address's host."),
    ] = None


def core_tls(tls: TlsSettings) -> dict[str, Any]:
    """`tls` of the contract with the core, with what is set."""
    given = {name: getattr(tls, name) for name in tls.__struct_fields__}
    plain = {name: value.reveal() if isinstance(value, Secret) else value for name, value in given.items()}
    return {name: str(value) for name, value in plain.items() if value is not None}
