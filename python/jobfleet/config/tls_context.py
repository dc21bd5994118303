"""The same certificates for what Python itself asks for: tokens, and checks of the connection."""

from __future__ import annotations

import contextlib
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

from jobfleet.config.secret import Secret
from jobfleet.config.tls import TlsSettings


def client_context(tls: TlsSettings) -> ssl.SSLContext:
    """Trust in the system's authorities and those of the settings, from the files as they are now.

    Raises `ValueError` that names the setting when a certificate cannot be used.
    """
    authorities = tls.ca_pem or tls.ca_file
    certificate, key = tls.cert_pem or tls.cert_file, tls.key_pem or tls.key_file
    context = ssl.create_default_context()
    try:
        if isinstance(authorities, Path):
            context.load_verify_locations(cafile=authorities)
        elif authorities is not None:
            context.load_verify_locations(cadata=authorities)
        if certificate is not None and key is not None:
            with _file(certificate) as cert_file, _file(key) as key_file:
                context.load_cert_chain(cert_file, key_file, _passphrase(tls.key_passphrase))
    except (OSError, ValueError) as error:
        raise ValueError(f"engine.tls: the certificates cannot be used: {error}") from None
    return context


def _passphrase(secret: Secret | None) -> str:
    # Never None: OpenSSL would ask the terminal for it.
    return secret.reveal() if secret else ""


@contextlib.contextmanager
def _file(material: Path | str | Secret) -> Iterator[str]:
    """A file with the material, which OpenSSL reads from files alone; one of our own is in memory and soon gone."""
    if isinstance(material, Path):
        yield str(material)
        return
    text = material.reveal() if isinstance(material, Secret) else material
    with os.fdopen(os.memfd_create("certificate"), "wb", buffering=0) as file:
        file.write(text.encode())
        yield f"/proc/self/fd/{file.fileno()}"
