"""The client of a fleet's control API."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx
import msgspec
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


def connect(path: Path, *, patient: bool = False) -> httpx.Client:
    """A client that talks to the fleet at `path`; a patient one waits for answers as long as they take."""
    timeout = httpx.Timeout(_TIMEOUT_S, read=None if patient else _TIMEOUT_S)
    return httpx.Client(transport=httpx.HTTPTransport(uds=str(path)), base_url="http://fleet", timeout=timeout)


def fetch(path: Path, route: str) -> bytes:
    """GET `route`; ends the command when no fleet answers."""
    with _complaints(path, route), connect(path) as client:
        answer = client.get(route)
        answer.raise_for_status()
        return answer.content


def command(path: Path, route: str, body: object = None, *, patient: bool = False) -> dict[str, Any]:
    """POST `route`; ends the command when no fleet answers, or with the fleet's words when it refuses."""
    with _complaints(path, route), connect(path, patient=patient) as client:
        answer = client.post(route, json=body) if body is not None else client.post(route)
    try:
        said: dict[str, Any] = msgspec.json.decode(answer.content, type=dict[str, Any])
    except msgspec.DecodeError:
        complain(f"the fleet at {path} does not understand {route}: it answers {answer.status_code}")
        raise typer.Exit(ExitCode.FAILED) from None
    if answer.is_error and "state" not in said:
        complain(str(said.get("error", answer.status_code)))
        raise typer.Exit(ExitCode.FAILED)
    return said


@contextmanager
def watch_events(path: Path) -> Iterator[Iterator[dict[str, Any]]]:
    """The events of the fleet from now on; they end with it."""
    with (
        _complaints(path, "/v1/events"),
        connect(path, patient=True) as client,
        client.stream("GET", "/v1/events") as answer,
    ):
        events = _events(answer)
        # The first one says that the fleet listens to us.
        next(events, None)
        yield events


def _events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    try:
        for line in answer.iter_lines():
            yield msgspec.json.decode(line, type=dict[str, Any])
    except (httpx.RemoteProtocolError, httpx.ReadError):
        # The fleet has ended.
        return


@contextmanager
def _complaints(path: Path, route: str) -> Iterator[None]:
    try:
        yield
    except httpx.ConnectError:
        complain(f"no fleet listens on {path}; start one with `jobfleet run`, or name another with --socket or --name")
        raise typer.Exit(ExitCode.NO_FLEET) from None
    except httpx.HTTPError as error:
        complain(f"the fleet at {path} does not answer {route}: {error}")
        raise typer.Exit(ExitCode.FAILED) from None
