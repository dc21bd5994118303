"""`jobfleet push`: gives jobs to a local engine."""

import json
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from jobfleet.cli.start import complain
from jobfleet.supervisor.exits import ExitCode

_DEFAULT_ENGINE = "http://127.0.0.1:8080"


def push(
    type: Annotated[str, typer.Argument(metavar="TYPE", help="Job type.")],
    *,
    count: Annotated[int, typer.Option(min=1, metavar="N", help="How many jobs.")] = 1,
    variables: Annotated[str, typer.Option(metavar="JSON", help="Variables of each job.")] = "{}",
    retries: Annotated[int, typer.Option(min=1, metavar="N", help="Tries of each job.")] = 3,
    engine: Annotated[
        str | None,
        typer.Option(metavar="URL", help="The local engine; the running fleet's by default. [JOBFLEET_ENGINE]"),
    ] = None,
    socket: Annotated[Path | None, typer.Option(metavar="PATH", help="Unix socket of the fleet to ask.")] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the fleet to ask.")] = None,
) -> None:
    """Put jobs into a local engine: the one of `jobfleet engine`, or the one embedded in a running fleet."""
    body = {"type": type, "count": count, "variables": _object(variables), "retries": retries}
    url = _engine_url(engine, socket, name)
    import httpx  # noqa: PLC0415 - slow to import

    try:
        answer = httpx.post(f"{url}/local/jobs", json=body, timeout=60)
        answer.raise_for_status()
    except httpx.HTTPStatusError as error:
        complain(
            f"{url} refuses the jobs: {error.response.status_code} {error.response.text[:200]}; is it a local engine?"
        )
        raise typer.Exit(ExitCode.ENGINE) from None
    except httpx.HTTPError as error:
        complain(f"no engine answers at {url}: {error}; start one with `jobfleet engine`, or name it with --engine")
        raise typer.Exit(ExitCode.ENGINE) from None
    typer.echo(f"pushed {count} of {type} to {url}")


def _object(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError as error:
        complain(f"--variables is not JSON: {error}")
        raise typer.Exit(ExitCode.USAGE) from None
    if not isinstance(value, dict):
        complain('--variables must be a JSON object, such as \'{"orderId": "A-1"}\'')
        raise typer.Exit(ExitCode.USAGE)
    return value


def _engine_url(given: str | None, socket: Path | None, name: str | None) -> str:
    """The engine that is meant; plain http addresses do as well, since there is only one protocol to push with."""
    from jobfleet.cli.client import connect, socket_path  # noqa: PLC0415 - slow to import
    from jobfleet.config.engine_url import parse_engine_url  # noqa: PLC0415

    given = given or os.environ.get("JOBFLEET_ENGINE")
    if given:
        if given.startswith(("http://", "https://")):
            return given.rstrip("/")
        try:
            return parse_engine_url(given).url
        except ValueError as error:
            complain(f"--engine: {error}")
            raise typer.Exit(ExitCode.USAGE) from None
    path = socket_path(socket, name)
    if not path.exists():
        return _DEFAULT_ENGINE
    import httpx  # noqa: PLC0415

    try:
        with connect(path) as client:
            url: str = client.get("/v1/status").json()["fleet"]["engine"]["url"]
            return url
    except (httpx.HTTPError, ValueError, KeyError):
        return _DEFAULT_ENGINE
