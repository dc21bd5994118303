"""Which HTTP proxy stands between the fleet and its engine."""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, urlsplit

from jobfleet.config.secret import Secret

NONE: Final = "none"
_EXPECTED: Final = "expected http://[USER:PASSWORD@]HOST:PORT"
_PORTS: Final = {"http": 80, "https": 443}


def parse_proxy(text: str) -> Secret:
    """A proxy's address as the core takes it. Raises `ValueError`, which never shows what may be a password."""
    parts = urlsplit(text if "://" in text else f"http://{text}")
    if parts.scheme != "http":
        raise ValueError(f"a proxy that is spoken to over {parts.scheme} is not supported; {_EXPECTED}")
    try:
        port = parts.port
    except ValueError:
        raise ValueError(f"the proxy's port must be a number from 1 to 65535; {_EXPECTED}") from None
    if not parts.hostname:
        raise ValueError(f"the proxy has no host; {_EXPECTED}")
    user, at, _ = parts.netloc.rpartition("@")
    return Secret(f"http://{user}{at}{_authority(parts.hostname, port or 80)}")


def shown_proxy(proxy: Secret) -> str:
    """Host and port."""
    parts = urlsplit(proxy.reveal())
    return _authority(parts.hostname or "", parts.port or 80)


def proxy_of_environment(url: str, environ: Mapping[str, str]) -> tuple[str, Secret] | None:
    """The variable that names a proxy for `url`, and the proxy. Raises `ValueError` when it cannot be used.

    `HTTPS_PROXY` or `HTTP_PROXY`, as the address says, then `ALL_PROXY`; names in lower case win. `NO_PROXY` and
    this host's own addresses are left out.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if _is_loopback(host) or is_exempt(host, parts.port or _PORTS[parts.scheme], _variable(environ, "NO_PROXY")[1]):
        return None
    for name in (f"{parts.scheme.upper()}_PROXY", "ALL_PROXY"):
        found, value = _variable(environ, name)
        if value:
            try:
                return found, parse_proxy(value)
            except ValueError as error:
                raise ValueError(f"{found}: {error}") from None
    return None


def proxy_to(url: str, setting: Secret | None, environ: Mapping[str, str]) -> Secret | None:
    """The proxy on the way to a server that the fleet needs beside the engine. Raises `ValueError` as above.

    `setting` is the engine's, where it has one; the hosts of `NO_PROXY` are then left out.
    """
    parts = urlsplit(url)
    if parts.scheme not in _PORTS or (setting is not None and setting.reveal() == NONE):
        return None
    if setting is None:
        found = proxy_of_environment(url, environ)
        return found[1] if found else None
    port = parts.port or _PORTS[parts.scheme]
    return None if is_exempt(parts.hostname or "", port, _variable(environ, "NO_PROXY")[1]) else setting


def is_exempt(host: str, port: int, exemptions: str) -> bool:
    """Whether a list such as `NO_PROXY` names this host.

    `*` names every host, `example.com` and `.example.com` a domain and all below it, `10.0.0.0/8` and `::1`
    addresses that are written as such; a port behind it narrows an entry.
    """
    return any(_names(entry, host, port) for entry in exemptions.replace(",", " ").split())


def _names(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    address = _address(host)
    if address is not None:
        with contextlib.suppress(ValueError):
            return address in ipaddress.ip_network(entry.strip("[]"), strict=False)
    narrowed = _split_port(entry)
    if narrowed is None:
        return False
    name, only_port = narrowed
    if only_port is not None and only_port != port:
        return False
    if address is not None:
        return _address(name) == address
    domain = name.lower().removeprefix("*").strip(".")
    name = host.lower().rstrip(".")
    return bool(domain) and (name == domain or name.endswith(f".{domain}"))


def _split_port(entry: str) -> tuple[str, int | None] | None:
    """Name and port of an entry; None when it is neither."""
    try:
        parts: SplitResult = urlsplit(f"//{entry}")
        return (parts.hostname or "", parts.port)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host.lower() == "localhost" or (address is not None and address.is_loopback)


def _variable(environ: Mapping[str, str], name: str) -> tuple[str, str]:
    """Name and value, the name in lower case first; the value is empty where neither is set."""
    return next(((key, environ[key]) for key in (name.lower(), name) if environ.get(key)), (name, ""))


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
