"""The part of `jobfleet check` that tries the engine."""

from __future__ import annotations

import re

import msgspec
import typer

from jobfleet.cli.start import complain
from jobfleet.config import Loaded, Settings
from jobfleet.supervisor.exits import ExitCode

_ADDRESS = re.compile(r"[a-z0-9]+\+https?://")


def split_address(arguments: list[str]) -> tuple[str | None, list[str]]:
    """The engine's address among the arguments, and the others."""
    addresses = [argument for argument in arguments if _ADDRESS.match(argument)]
    return addresses[-1] if addresses else None, [other for other in arguments if other not in addresses]


def check_engine(loaded: Loaded) -> ExitCode:
    """Try the engine and the credentials of the settings; print what came out."""
    from jobfleet.auth.make import credentials_of  # noqa: PLC0415 - brings httpx, which other checks do without
    from jobfleet.auth.probe import Fault, probe_engine  # noqa: PLC0415
    from jobfleet.config.engine_url import parse_engine_url  # noqa: PLC0415
    from jobfleet.config.tls_context import client_context  # noqa: PLC0415

    url = loaded.settings.engine.url
    if url is None:
        complain("no engine is set; name it: jobfleet check --engine camunda+http://host:8080")
        return ExitCode.SETTINGS
    address = parse_engine_url(url)
    try:
        credentials = credentials_of(_without_cache(loaded.settings), loaded.strategy, address, loaded.token_proxy)
        verify = client_context(loaded.settings.engine.tls)
    except ValueError as error:
        complain(str(error))
        return ExitCode.SETTINGS
    settings = loaded.settings
    finding = probe_engine(address.url, credentials, settings.defaults.tenants, verify, settings.engine.proxy)
    if finding.fault is Fault.NONE:
        typer.echo(f"engine: {finding.sentence}")
        return ExitCode.OK
    complain(finding.sentence)
    return ExitCode.CREDENTIALS if finding.fault is Fault.CREDENTIALS else ExitCode.ENGINE


def _without_cache(settings: Settings) -> Settings:
    """A token of the cache would say nothing about the client that is to be tried."""
    return msgspec.structs.replace(settings, auth=msgspec.structs.replace(settings.auth, cache=False))
