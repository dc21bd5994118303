"""`jobfleet status`: the state of a running fleet."""

from pathlib import Path
from typing import Annotated

import typer

from jobfleet.cli.client import fetch, socket_path

_LEAST_WIDTH = 120


def status(
    json: Annotated[bool, typer.Option("--json", help="Print the answer of the control API as it is.")] = False,
    socket: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Unix socket of the fleet. [JOBFLEET_SOCKET]")
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="Name of the fleet. [JOBFLEET_NAME]")] = None,
) -> None:
    """Show the state of a fleet: pools, processes, job types, permits."""
    body = fetch(socket_path(socket, name), "/v1/status")
    if json:
        typer.echo(body.decode())
        return
    from rich.console import Console  # noqa: PLC0415 - slow to import, and JSON does without

    from jobfleet.cli.tables import status_view  # noqa: PLC0415
    from jobfleet.supervisor.status import read_fleet_status  # noqa: PLC0415

    console = Console()
    # Narrower tables would break their words.
    console.width = max(console.width, _LEAST_WIDTH)
    console.print(status_view(read_fleet_status(body)))
