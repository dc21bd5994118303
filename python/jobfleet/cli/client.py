"""The client of a fleet's control API."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import httpx
import typer

from jobfleet.cli.start import complain
from jobfleet.supervisor.controlsocket import default_path
from jobfleet.supervisor.exits import ExitCode

_TIMEOUT_S: Final = 10.0


def socket_path(given: Path | None, name: str | None) -> Path:
    """The socket that is meant: given, of a name, `JOBFLEET_SOCKET`, or the default fleet's."""
    if given is not None:
        return given
    from_environment = os.environ.get("JOBFLEET_SOCKET")
    if from_environment and name is None:
        return Path(from_environment)
    return default_path(name or os.environ.get("JOBFLEET_NAME") or "default")


def connect(path: Path) -> httpx.Client:
    """A client that talks to the fleet at `path`."""
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://fleet", timeout=_TIMEOUT_S)


def fetch(path: Path, route: str) -> bytes:
    """GET `route`; ends the command when no fleet answers."""
    try:
        with connect(path) as client:
            answer = client.get(route)
            answer.raise_for_status()
            return answer.content
    except httpx.ConnectError:
        complain(f"no fleet listens on {path}; start one with `jobfleet run`, or name another with --socket or --name")
        raise typer.Exit(ExitCode.NO_FLEET) from None
    except httpx.HTTPError as error:
        complain(f"the fleet at {path} does not answer {route}: {error}")
        raise typer.Exit(ExitCode.FAILED) from None
